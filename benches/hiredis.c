/* The same worker in C, on hiredis: what is left of a client when its replies become no values of PHP. It takes the arguments of
 * worker.php without the client, and speaks the same protocol. */

#include <hiredis/hiredis.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>
#include <sys/resource.h>
#include <time.h>

#define VALUE "vvvvvvvvvvvvvvvvvvvvvvvvvvvvvvvv"

static redisContext *context;

static void take(void)
{
    redisReply *reply;
    if (redisGetReply(context, (void **) &reply) != REDIS_OK || reply->type == REDIS_REPLY_ERROR) {
        fprintf(stderr, "%s\n", context->err ? context->errstr : "the server refused a command");
        exit(1);
    }
    freeReplyObject(reply);
}

static void command(int words, const char **word)
{
    redisAppendCommandArgv(context, words, word, NULL);
    take();
}

static void run(const char *operation, long times)
{
    const char *dash = strchr(operation, '-');
    long size = dash ? atol(dash + 1) : 0;
    size_t kind = dash ? (size_t) (dash - operation) : strlen(operation);
#define IS(name) (kind == strlen(name) && memcmp(operation, name, kind) == 0)
#define REPEAT(...) do { const char *words[] = {__VA_ARGS__}; \
    for (long i = 0; i < times; i++) command(sizeof words / sizeof *words, words); } while (0)

    if (IS("get")) {
        REPEAT("GET", operation);
    } else if (IS("set")) {
        REPEAT("SET", "written", VALUE);
    } else if (IS("incr")) {
        REPEAT("INCR", "number");
    } else if (IS("mget")) {
        const char **words = malloc((size_t) (size + 1) * sizeof *words);
        words[0] = "MGET";
        for (long i = 1; i <= size; i++) {
            char *key = malloc(32);
            snprintf(key, 32, "many:%ld", i);
            words[i] = key;
        }
        for (long i = 0; i < times; i++) {
            command((int) size + 1, words);
        }
        for (long i = 1; i <= size; i++) {
            free((void *) words[i]);
        }
        free(words);
    } else if (IS("hgetall")) {
        REPEAT("HGETALL", operation);
    } else if (IS("lrange")) {
        REPEAT("LRANGE", operation, "0", "-1");
    } else if (IS("zrange")) {
        REPEAT("ZRANGE", operation, "0", "-1", "WITHSCORES");
    } else if (IS("xrange")) {
        REPEAT("XRANGE", operation, "-", "+");
    } else if (IS("pipeline")) {
        const char *words[] = {"GET", "get-32"};
        for (long i = 0; i < times; i++) {
            for (long j = 0; j < size; j++) {
                redisAppendCommandArgv(context, 2, words, NULL);
            }
            for (long j = 0; j < size; j++) {
                take();
            }
        }
    } else if (IS("transaction")) {
        const char *multi[] = {"MULTI"}, *get[] = {"GET", "get-32"}, *set[] = {"SET", "written", VALUE};
        const char *incr[] = {"INCR", "number"}, *exec[] = {"EXEC"};
        for (long i = 0; i < times; i++) {
            redisAppendCommandArgv(context, 1, multi, NULL);
            redisAppendCommandArgv(context, 2, get, NULL);
            redisAppendCommandArgv(context, 3, set, NULL);
            redisAppendCommandArgv(context, 2, incr, NULL);
            redisAppendCommandArgv(context, 1, exec, NULL);
            for (int j = 0; j < 5; j++) {
                take();
            }
        }
    } else {
        fprintf(stderr, "there is no operation %s\n", operation);
        exit(1);
    }
}

static long cpu(void)
{
    struct rusage usage;
    getrusage(RUSAGE_SELF, &usage);
    return 1000000L * (usage.ru_utime.tv_sec + usage.ru_stime.tv_sec) + usage.ru_utime.tv_usec + usage.ru_stime.tv_usec;
}

static long now(void)
{
    struct timespec time;
    clock_gettime(CLOCK_MONOTONIC, &time);
    return 1000000L * time.tv_sec + time.tv_nsec / 1000;
}

int main(int count, char **arguments)
{
    char scheme[16], host[256];
    int port;
    if (count < 3 || sscanf(arguments[1], "%15s %255s %d", scheme, host, &port) != 3) {
        return 2;
    }
    context = strcmp(scheme, "unix") == 0 ? redisConnectUnix(host) : redisConnect(host, port);
    if (!context || context->err) {
        fprintf(stderr, "%s\n", context ? context->errstr : "no memory");
        return 1;
    }
    if (count > 3) {
        run(arguments[2], atol(arguments[3]));
        return 0;
    }
    char line[32];
    while (fgets(line, sizeof line, stdin)) {
        long times = atol(line), spent = cpu(), begun = now();
        run(arguments[2], times);
        long time = now() - begun;
        struct rusage usage;
        spent = cpu() - spent;
        getrusage(RUSAGE_SELF, &usage);
        printf("%ld %ld %ld\n", spent, time, usage.ru_maxrss);
        fflush(stdout);
    }
    return 0;
}
