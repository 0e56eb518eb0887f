/* line.h - one line from a person: editing and history on a terminal, plain lines
 * from anything else. */
#ifndef DECAI_LINE_H
#define DECAI_LINE_H

#include "cli.h"

#define LINE_HISTORY_MAX 500         /* lines that are remembered */
#define LINE_BYTES_MAX 1048576       /* of one line; what is typed or pasted beyond is not taken */

enum { LINE_END = 0, LINE_READ = 1, LINE_INTERRUPTED = 2 };

typedef struct line line;

/* path: a file that keeps the history (made 0600), or NULL. */
line *line_open(const char *path);
void line_close(line *l);            /* NULL is fine */
/* LINE_READ: a line in out, without its end, maybe with line ends inside that were
 * pasted or typed by Alt-Enter | LINE_INTERRUPTED: Ctrl-C | LINE_END: end of input,
 * or Ctrl-D on an empty line. */
int line_read(line *l, text *out, const char *prompt);
/* Give the terminal back meanwhile: Ctrl-C is a signal again. */
void line_release(void);

#endif
