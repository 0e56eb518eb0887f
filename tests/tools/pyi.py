def generate(api):
    return ""
