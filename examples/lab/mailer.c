/* SPDX-License-Identifier: MIT */
/*
 * An office: clerks write letters, a postman takes them out of the box. Built
 * twice: as mailer, and with -DLOSSY as mailer-lossy, which has a bug that no
 * ordinary test finds. asup_lab(3) tells the story.
 *
 * A clerk reserves a place in the box before the letter is written, so that no
 * letter is written in vain. Writing takes a while, and whoever waits may be
 * cancelled there. The place is still the clerk's then: it must be given back.
 */
#include <asupersync/lab.h>

enum { CLERKS = 3, LETTERS = 4, PLACES = 2 };

struct office {
    struct asup_cx *cx; /* of the region of the box */
    struct asup_channel box;
};

static int
write_letter(struct asup_cx *cx, int number)
{
    asup_cx_trace(cx, "writes letter %d", number);
    return asup_cx_sleep(cx, asup_cx_random_u64(cx) % (60 * ASUP_NS_PER_S));
}

static int
clerk(struct asup_cx *cx, void *arg)
{
    struct office *office = arg;

    for (int number = 1; number <= LETTERS; number++) {
        int rc;
        struct asup_permit *place = asup_cx_reserve(office->cx, office->box, ASUP_NEVER, &rc);

        if (place == NULL)
            return rc;
        rc = write_letter(cx, number);
        if (rc != 0) {
#ifndef LOSSY
            asup_permit_abort(place);
#endif
            return rc;
        }
        ASUP_TRY(asup_permit_send(place, &number, sizeof number));
    }
    return 0;
}

/* All clerks, then the box is sealed: no letter comes any more. */
static int
clerks(struct asup_cx *cx, void *arg)
{
    struct office *office = arg;
    struct asup_branch all[CLERKS];
    int rc, sealed;

    for (int i = 0; i < CLERKS; i++)
        all[i] = (struct asup_branch){clerk, office, "clerk"};
    rc = asup_cx_all(cx, all, CLERKS, false, NULL);
    sealed = asup_cx_channel_seal(office->cx, office->box);
    return rc != 0 ? rc : sealed;
}

static int
postman(struct asup_cx *cx, void *arg)
{
    struct office *office = arg;

    for (;;) {
        int rc;
        struct asup_delivery *letter = asup_cx_receive(office->cx, office->box, ASUP_NEVER, &rc);

        if (letter == NULL)
            return rc == -ASUP_EENDED ? 0 : rc;
        asup_cx_trace(cx, "takes letter %d", *(const int *)asup_delivery_data(letter, NULL));
        ASUP_TRY(asup_ack_commit(letter));
    }
}

static int
day(struct asup_cx *cx, void *arg)
{
    const struct asup_channel_limits limits = {PLACES, ASUP_NEVER, ASUP_NEVER, 0};
    struct office office = {.cx = cx};

    (void)arg;
    ASUP_TRY(asup_cx_channel_open(cx, "box", &limits, &office.box));
    return ASUP_JOIN_ALL(cx, ASUP_BRANCH(clerks, &office), ASUP_BRANCH(postman, &office));
}

/* The office closes after eight hours, whoever is missing. */
static int
working_day(struct asup_cx *cx, void *arg)
{
    return asup_cx_timeout(cx, 8 * 3600 * ASUP_NS_PER_S, day, arg, NULL);
}

int
main(int argc, char **argv)
{
#ifdef LOSSY
    return asup_lab_main(argc, argv, "mailer-lossy", working_day, NULL);
#else
    return asup_lab_main(argc, argv, "mailer", working_day, NULL);
#endif
}
