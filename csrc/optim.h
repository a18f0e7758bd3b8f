/* What an optimizer's kernel reads: p[0] is a table with one row per parameter, n[0] says how many rows, hyper points
   to doubles (the weight decay, then the rule's HYPER in order), and flags holds the bits below. A captured step
   replays with whatever learning rate, gradients and step counts lie in that memory then. */
#ifndef TG_OPTIM_H
#define TG_OPTIM_H

#include "kernels.h"

#define TG_OPTIM_STATES 4
#define TG_OPTIM_NUMBERS 3

typedef struct {
    void *param;
    const void *grad;                 /* NULL: no gradient this time, the row is passed over */
    void *state[TG_OPTIM_STATES];     /* the rule's STATE in order; unread where the rule does not keep it */
    float *number[TG_OPTIM_NUMBERS];  /* updates so far, then the rule's other NUMBERS; the kernel moves them on */
    int64_t numel;
} tg_optim_row;

#define TG_OPTIM_MAXIMIZE 1   /* climb: the gradient's sign is turned */
#define TG_OPTIM_DECOUPLED 2  /* weight decay shrinks the parameter and stays out of the gradient */
#define TG_OPTIM_OPTION 4     /* the rule's first OPTION; the next is twice that */

#endif
