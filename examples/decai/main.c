/* main.c - the decai command-line tool: a table of subcommands. */
#include <stdlib.h>
#include <string.h>

#include "cli.h"

static const struct {
    const char *name;
    int (*run)(int argc, char **argv);
    const char *help;
} commands[] = {
    {"demo", demo_main, "one job's whole life, in seconds, on the shipped model"},
    {"run", run_main, "run a model on a prompt, and write a receipt if asked"},
    {"chat", chat_main, "a conversation with a model in the terminal"},
    {"serve", serve_main, "a model behind OpenAI's HTTP interface"},
    {"verify", verify_main, "check a receipt, by doing the work again if possible"},
    {"inspect", inspect_main, "say what is in a model, receipt, opening or manifest"},
    {"perplexity", perplexity_main, "how well a model foresees a text"},
    {"embed", embed_main, "turn lines of text into vectors"},
    {"bench", bench_main, "how fast a model runs here, beside the machine's limit"},
    {"tokenize", tokenize_main, "turn a file's text into token ids"},
    {"detokenize", detokenize_main, "turn token ids back into text"},
    {"tokenizer", tokenizer_main, "convert a tokenizer: GGUF metadata, tokenizer.json"},
    {"template", template_main, "a conversation through a chat template"},
    {"devices", devices_main, "list what can compute here, and test each"},
    {"cache", cache_main, "compiled OpenCL programs on disk: how much, and away with them"},
};

static void
usage(FILE *f)
{
    fprintf(f, "decai %s: a job of decentralised AI through its whole life\n\n"
               "usage: decai COMMAND [options]        decai COMMAND --help\n\n", decai_version());
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        fprintf(f, "  %-10s %s\n", commands[i].name, commands[i].help);
    fprintf(f, "\n  --version   the library's version\n"
               "exit codes: 0 done, 1 checked and wrong, 2 wrong usage, 3 could not be done\n");
}

int
main(int argc, char **argv)
{
    if (argc < 2) {
        usage(stderr);
        return EXIT_USAGE;
    }
    if (!strcmp(argv[1], "--help") || !strcmp(argv[1], "-h") || !strcmp(argv[1], "help")) {
        usage(stdout);
        return EXIT_OK;
    }
    if (!strcmp(argv[1], "--version")) {
        printf("decai %s\n", decai_version());
        return EXIT_OK;
    }
    for (size_t i = 0; i < sizeof commands / sizeof *commands; i++)
        if (!strcmp(argv[1], commands[i].name)) {
            int code = commands[i].run(argc - 1, argv + 1);
            /* A full disk behind a redirection shows itself only here. */
            if (fflush(stdout) || ferror(stdout)) die(EXIT_FAILED, "standard output: cannot be written");
            return code;
        }
    fprintf(stderr, "decai: no command \"%s\"\n\n", argv[1]);
    usage(stderr);
    return EXIT_USAGE;
}
