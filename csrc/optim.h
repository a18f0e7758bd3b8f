/* What an optimizer's kernel reads: p[0] is a table with one row per parameter, n[0] says how many rows, hyper points
   to a tg_optim_hyper, and flags holds the bits below. A captured step replays with whatever learning rate, gradients
   and step counts lie in that memory then. */
#ifndef TG_OPTIM_H
#define TG_OPTIM_H

#include "kernels.h"

#define TG_OPTIM_STATES 4
#define TG_OPTIM_NUMBERS 3
#define TG_OPTIM_HYPERS 12
#define TG_OPTIM_SUMS 2
#define TG_OPTIM_GRAIN (1 << 16) /* tensors with more elements are cut into pieces of that many */

typedef struct {
    void *param;
    const void *grad;                 /* NULL: no gradient this time, the row is passed over */
    void *state[TG_OPTIM_STATES];     /* the rule's STATE in order; unread where the rule does not keep it */
    float *number[TG_OPTIM_NUMBERS];  /* updates so far, then the rule's other NUMBERS; the kernel moves them on */
    double *sums;                     /* room for TG_OPTIM_SUMS per piece; unread where nothing is summed */
    int64_t numel;
    int64_t rows;                     /* the first dimension of a matrix or more, else 0 */
    const int64_t *sparse;            /* NULL, or which rows the gradient has: grad holds no others, each comes once */
    int64_t count;                    /* so many */
} tg_optim_row;

/* What a group sets for every rule alike, then the rule's HYPER in order. */
typedef struct {
    double weight_decay;
    double scale;        /* of the gradient */
    double l1, l2;       /* after the step: towards zero by lr * l1, then over 1 + lr * l2 */
    double group_lasso;  /* every row shorter by lr * group_lasso * sqrt(its elements) */
    double max_norm;     /* of every row; infinity for any */
    double total[TG_OPTIM_SUMS]; /* the TOTALS: a step adds its own, TG_OPTIM_JOIN reads them */
    double rule[TG_OPTIM_HYPERS];
} tg_optim_hyper;

#define TG_OPTIM_MAXIMIZE 1   /* climb: the gradient's sign is turned */
#define TG_OPTIM_DECOUPLED 2  /* weight decay shrinks the parameter and stays out of the gradient */
#define TG_OPTIM_MEASURE 4    /* not the step, but the SUMS before it */
#define TG_OPTIM_JOIN 8       /* not the step, but the GROUP after it, which changes hyper->rule */
#define TG_OPTIM_OPTION 16    /* the rule's first OPTION; the next is twice that */

#endif
