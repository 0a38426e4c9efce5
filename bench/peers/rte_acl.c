/* DPDK's rte_acl on rules and packets from a file.
 *
 *   rte_acl FILE    prints "ready BUILD_SECONDS"; then for each line on stdin one pass over all packets:
 *                   "NS_PER_PACKET MATCHED SUM" (packets that match a rule, and the sum of the rules' numbers)
 *
 * The file is in host order: counts of rules and packets (uint32), for each rule five pairs low, high (source,
 * destination: prefixes; source port, destination port, protocol: one or all), for each packet five values. */
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <time.h>

#include <rte_acl.h>
#include <rte_byteorder.h>
#include <rte_eal.h>

#define BATCH 32

enum { SRC, DST, SPORT, DPORT, PROTOCOL, FIELDS };

typedef struct {
    uint32_t low[2 * FIELDS]; /* low, high, low, … */
} rule_t;

/* What rte_acl looks at: the protocol's byte first, the rest in groups of four bytes. */
typedef struct {
    uint8_t protocol, unused[3];
    uint32_t src, dst;
    uint16_t sport, dport;
} acl_key_t;

RTE_ACL_RULE_DEF(acl_rule, FIELDS);

static struct rte_acl_field_def defs[FIELDS] = {
    {RTE_ACL_FIELD_TYPE_BITMASK, 1, 0, 0, offsetof(acl_key_t, protocol)},
    {RTE_ACL_FIELD_TYPE_MASK, 4, 1, 1, offsetof(acl_key_t, src)},
    {RTE_ACL_FIELD_TYPE_MASK, 4, 2, 2, offsetof(acl_key_t, dst)},
    {RTE_ACL_FIELD_TYPE_RANGE, 2, 3, 3, offsetof(acl_key_t, sport)},
    {RTE_ACL_FIELD_TYPE_RANGE, 2, 4, 3, offsetof(acl_key_t, dport)},
};

static void fail(const char *what) {
    fprintf(stderr, "rte_acl: %s\n", what);
    exit(1);
}

static void *read_items(FILE *file, uint32_t n, size_t size) {
    void *items = malloc(n * size);
    if (items == NULL || fread(items, size, n, file) != n)
        fail("file too short");
    return items;
}

static uint32_t prefix_length(const uint32_t *pair) {
    uint32_t size = pair[1] - pair[0]; /* a power of two less 1 */
    return 32 - (uint32_t)(size ? 32 - __builtin_clz(size) : 0);
}

static void add_rules(struct rte_acl_ctx *context, const rule_t *rules, uint32_t n) {
    for (uint32_t i = 0; i < n; i++) {
        const uint32_t *pair = rules[i].low;
        struct acl_rule rule = {.data = {.category_mask = 1, .priority = (int32_t)(n - i), .userdata = i + 1}};
        int any = pair[2 * PROTOCOL] != pair[2 * PROTOCOL + 1];
        rule.field[0].value.u8 = any ? 0 : (uint8_t)pair[2 * PROTOCOL];
        rule.field[0].mask_range.u8 = any ? 0 : 0xff;
        for (int f = SRC; f <= DST; f++) {
            rule.field[1 + f].value.u32 = pair[2 * f];
            rule.field[1 + f].mask_range.u32 = prefix_length(pair + 2 * f);
        }
        for (int f = SPORT; f <= DPORT; f++) {
            rule.field[1 + f].value.u16 = (uint16_t)pair[2 * f];
            rule.field[1 + f].mask_range.u16 = (uint16_t)pair[2 * f + 1];
        }
        if (rte_acl_add_rules(context, (struct rte_acl_rule *)&rule, 1))
            fail("rule refused");
    }
}

static double now(void) {
    struct timespec t;
    clock_gettime(CLOCK_THREAD_CPUTIME_ID, &t);
    return (double)t.tv_sec + 1e-9 * (double)t.tv_nsec;
}

static void one_pass(struct rte_acl_ctx *context, const acl_key_t *keys, uint32_t n) {
    const uint8_t *data[BATCH];
    uint32_t found[BATCH];
    uint64_t matched = 0, sum = 0;
    double begin = now();
    for (uint32_t i = 0; i < n; i += BATCH) {
        uint32_t step = n - i < BATCH ? n - i : BATCH;
        for (uint32_t j = 0; j < step; j++)
            data[j] = (const uint8_t *)&keys[i + j];
        if (rte_acl_classify(context, data, found, step, 1))
            fail("classify");
        for (uint32_t j = 0; j < step; j++) {
            matched += found[j] != 0;
            sum += found[j] ? found[j] - 1 : 0;
        }
    }
    printf("%.3f %lu %lu\n", (now() - begin) * 1e9 / n, matched, sum);
    fflush(stdout);
}

static struct rte_acl_ctx *built(const rule_t *rules, uint32_t n) {
    struct rte_acl_param param = {.name = "bench", .socket_id = SOCKET_ID_ANY, .max_rule_num = n,
                                  .rule_size = RTE_ACL_RULE_SZ(FIELDS)};
    struct rte_acl_config config = {.num_categories = 1, .num_fields = FIELDS};
    struct rte_acl_ctx *context = rte_acl_create(&param);
    double begin = now();
    if (context == NULL)
        fail("no context");
    for (int f = 0; f < FIELDS; f++)
        config.defs[f] = defs[f];
    add_rules(context, rules, n);
    if (rte_acl_build(context, &config))
        fail("build");
    printf("ready %.3f\n", now() - begin);
    fflush(stdout);
    return context;
}

int main(int argc, char **argv) {
    char *eal[] = {argv[0], "--no-huge", "--no-shconf", "--no-telemetry", "--no-pci", "-m", "1024", "--log-level=error",
                   NULL};
    uint32_t counts[2];
    FILE *file = argc > 1 ? fopen(argv[1], "rb") : NULL;
    if (file == NULL || fread(counts, sizeof counts, 1, file) != 1)
        fail("no file");
    if (rte_eal_init(8, eal) < 0)
        fail("no environment");
    rule_t *rules = read_items(file, counts[0], sizeof *rules);
    uint32_t(*packets)[FIELDS] = read_items(file, counts[1], sizeof *packets);
    acl_key_t *keys = calloc(counts[1], sizeof *keys);
    for (uint32_t i = 0; i < counts[1]; i++)
        keys[i] = (acl_key_t){.protocol = (uint8_t)packets[i][PROTOCOL],
                           .src = rte_cpu_to_be_32(packets[i][SRC]), .dst = rte_cpu_to_be_32(packets[i][DST]),
                           .sport = rte_cpu_to_be_16((uint16_t)packets[i][SPORT]),
                           .dport = rte_cpu_to_be_16((uint16_t)packets[i][DPORT])};
    struct rte_acl_ctx *context = built(rules, counts[0]);
    for (int c; (c = getchar()) != EOF;)
        if (c == '\n')
            one_pass(context, keys, counts[1]);
    return 0;
}
