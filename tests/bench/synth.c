/* synth.c - writes a synthetic model file (support_synth.h).
 *
 *     synth OUT FLAVOUR TYPE [SIZE [VOCAB.gguf]]
 *     synth list                            flavours and types
 *
 * SIZE: micro, tiny (default), small, 1b, 8b, minilm. TYPE: Q4_0, Q4_K_M, ... With
 * VOCAB the tokenizer of that file is copied, and its size is the vocabulary's;
 * without, the tests' byte vocabulary for tiny and small, none for the others. */
#include <stdio.h>
#include <string.h>

#include "support_gguf.c"
#include "support_synth.c"

static uint32_t
type_of(const char *name)
{
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++)
        if (!strcmp(TYPES[i].name, name)) return TYPES[i].type;
    return UINT32_MAX;
}

static int
names(void)
{
    for (size_t i = 0; synth_flavours[i]; i++) printf("%s%s", synth_flavours[i], synth_flavours[i + 1] ? " " : "\n");
    for (size_t i = 0; i < sizeof TYPES / sizeof *TYPES; i++) printf("%s ", TYPES[i].name);
    printf("\n");
    return 0;
}

int
main(int argc, char **argv)
{
    synth_spec s;
    if (argc == 2 && !strcmp(argv[1], "list")) return names();
    if (argc < 4 || argc > 6 || type_of(argv[3]) == UINT32_MAX) {
        fprintf(stderr, "usage: synth OUT FLAVOUR TYPE [micro|tiny|small|1b|8b|minilm [VOCAB.gguf]] | synth list\n");
        return 2;
    }
    const char *size = argc > 4 ? argv[4] : "tiny";
    if (synth_defaults(&s, argv[2], type_of(argv[3]), size)) {
        fprintf(stderr, "synth: no flavour %s or size %s\n", argv[2], size);
        return 2;
    }
    if (argc > 5) s.vocab_file = argv[5];
    else s.small_vocab = s.vocab == SUPPORT_VOCAB_MIN;
    if (synth_file(&s, argv[1])) {
        perror(argv[1]);
        return 1;
    }
    return 0;
}
