/* support_vectors.h - whole files of the public vectors, .gz through gzip. */
#ifndef DECAI_TESTS_SUPPORT_VECTORS_H
#define DECAI_TESTS_SUPPORT_VECTORS_H

#include <stddef.h>

/* $DECAI_VECTORS/<path>, else ../shared/vectors/<path>; malloc'd and
 * NUL-terminated; NULL, with a printed reason, if it is not there. */
char *support_vector(const char *path, size_t *len);
/* Any file, from the repository's root. */
char *support_file(const char *path, size_t *len);

#endif
