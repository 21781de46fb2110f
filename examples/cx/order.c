/* SPDX-License-Identifier: MIT */
/* A saga: an order is charged, packed and sent, or nothing of it stays. */
#include "example.h"

#define MS ((uint64_t)1000000)

struct shop {
    int stock, money;
    bool charged, packed;
    bool carrier_comes;
};

static int
charge(struct asup_cx *cx, void *arg)
{
    struct shop *shop = arg;

    ASUP_TRY(asup_cx_sleep(cx, 20 * MS)); /* the bank */
    shop->charged = true;
    shop->money += 10;
    return 0;
}

/* A compensation must tolerate an action that did nothing. */
static int
refund(struct asup_cx *cx, void *arg)
{
    struct shop *shop = arg;

    if (!shop->charged)
        return 0;
    ASUP_TRY(asup_cx_sleep(cx, 20 * MS));
    shop->charged = false;
    shop->money -= 10;
    return 0;
}

static int
pack(struct asup_cx *cx, void *arg)
{
    struct shop *shop = arg;

    ASUP_TRY(asup_cx_checkpoint(cx));
    shop->packed = true;
    shop->stock--;
    return 0;
}

static int
unpack(struct asup_cx *cx, void *arg)
{
    struct shop *shop = arg;

    (void)cx;
    if (shop->packed)
        shop->stock++;
    shop->packed = false;
    return 0;
}

static int
ship(struct asup_cx *cx, void *arg)
{
    const struct shop *shop = arg;

    ASUP_TRY(asup_cx_sleep(cx, 50 * MS));
    return shop->carrier_comes ? 0 : 1;
}

static int
recall(struct asup_cx *cx, void *arg)
{
    (void)cx;
    (void)arg;
    return 0;
}

static int
sell(struct asup_cx *cx, struct shop *shop)
{
    const struct asup_saga_step steps[] = {
        {"charge", charge, shop, refund, shop, 0, {.attempts = 5, .backoff_ns = 100 * MS}},
        {"pack", pack, shop, unpack, shop, 0, {0}},
        {"ship", ship, shop, recall, shop, 0, {0}},
    };
    struct asup_saga_open *saga;
    int rc;

    saga = asup_cx_saga_begin(cx, "order", &rc);
    if (saga == NULL)
        return rc;
    for (size_t i = 0; i < sizeof steps / sizeof steps[0]; i++) {
        rc = asup_saga_step_run(saga, &steps[i]);
        if (rc != 0) {
            int undone = asup_saga_abort(saga, steps[i].name);

            return undone != 0 ? undone : rc;
        }
    }
    return asup_saga_complete(saga);
}

int
main_task(struct asup_cx *cx, void *arg)
{
    struct shop shop = {.stock = 3, .carrier_comes = false};
    int rc;

    (void)arg;
    rc = sell(cx, &shop);
    asup_cx_trace(cx, "%d in stock, %d earned", shop.stock, shop.money);
    /* All of it or nothing, wherever it was stopped. */
    return shop.stock == 3 - (shop.money == 10) && (shop.money == 10) == (rc == 0) ? 0 : 2;
}
