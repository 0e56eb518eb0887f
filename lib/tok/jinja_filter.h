/* jinja_filter.h - what the files of the filters share: the functions of the table. */
#ifndef DECAI__JINJA_FILTER_H
#define DECAI__JINJA_FILTER_H

#include "tok/jinja_tree.h"

typedef decai__j_val decai__j_filter(decai__j_run *r, decai__j_val in, const decai__j_args *a);

/* jinja_sequence.c */
decai__j_filter decai__j_f_batch, decai__j_f_dictsort, decai__j_f_first, decai__j_f_groupby, decai__j_f_items, decai__j_f_join, decai__j_f_last, decai__j_f_length, decai__j_f_list,
    decai__j_f_map, decai__j_f_max, decai__j_f_min, decai__j_f_reject, decai__j_f_rejectattr, decai__j_f_reverse, decai__j_f_select, decai__j_f_selectattr, decai__j_f_slice,
    decai__j_f_sort, decai__j_f_sum, decai__j_f_unique;
/* jinja_number.c */
decai__j_filter decai__j_f_abs, decai__j_f_filesizeformat, decai__j_f_float, decai__j_f_int, decai__j_f_round;

/* jinja_number.c: Python's int(text, base); false: no integer. */
bool decai__j_int_parse(decai__j_run *r, decai__j_val s, int64_t base, decai__j_val *out);

/* splitlines of Python: the lines without their ends. */
decai__j_list *decai__j_lines(decai__j_run *r, decai__j_val s, bool keep);
decai__j_val decai__j_replace(decai__j_run *r, decai__j_val s, decai__j_val from, decai__j_val to, int64_t count);
decai__j_val decai__j_justify(decai__j_run *r, decai__j_val s, int64_t width, decai__j_val fill, char how);   /* 'l' 'r' 'c' */

#endif /* DECAI__JINJA_FILTER_H */
