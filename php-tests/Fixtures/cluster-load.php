<?php

declare(strict_types=1);

/*
 * cluster-load.php ENDPOINTS OPTIONS KIND TAG ...: uses a cluster until a line comes on its input, and prints one for each
 * operation: when it began and ended on the monotonic clock, the outcome (ok, failed, unknown, wrong), and what it was.
 * KIND is `increments`, of one counter for each tag; `walks`, over 600 keys that stay, page by page, with what was missed in
 * the end; or `everything`: all types, pipelines, transactions and scripts, in the slots of the tags. A result that is not the
 * expected one is `wrong`. ENDPOINTS and OPTIONS are JSON.
 */

use ResilientRedis\OutcomeUnknown;

[, $endpoints, $options, $kind] = $argv;
$tags = array_slice($argv, 4);
$redis = new ResilientRedis(json_decode($endpoints, true), json_decode($options, true));

/** @return iterable<string, array{Closure(): mixed, mixed}> an operation and its result */
$everything = static function (string $tag, int $round) use ($redis): iterable {
    $key = static fn (string $name): string => "{{$tag}}$name:" . getmypid() . ':' . $round % 40;
    $value = "v$round";
    yield 'SET' => [static fn () => $redis->set($key('string'), $value), 'OK'];
    yield 'GET' => [static fn () => $redis->get($key('string')), $value];
    yield 'HSET' => [static fn () => $redis->hset($key('hash'), 'f', $value) <= 1, true];
    yield 'HGET' => [static fn () => $redis->hget($key('hash'), 'f'), $value];
    yield 'DEL' => [static fn () => $redis->del([$key('list'), $key('counter')]) <= 2, true];
    yield 'RPUSH' => [static fn () => $redis->rpush($key('list'), ['a', $value]), 2];
    yield 'LRANGE' => [static fn () => $redis->lrange($key('list'), 0, -1), ['a', $value]];
    yield 'INCR' => [static fn () => $redis->incr($key('counter')), 1];
    yield 'SADD' => [static fn () => $redis->sadd($key('set'), ['a']) <= 1, true];
    yield 'SISMEMBER' => [static fn () => (int) $redis->sismember($key('set'), 'a'), 1];
    yield 'ZADD' => [static fn () => $redis->zadd($key('sorted'), ['a' => $round]) <= 1, true];
    yield 'ZSCORE' => [static fn () => (int) $redis->zscore($key('sorted'), 'a'), $round];
    yield 'XADD' => [static fn () => is_string($redis->xadd($key('stream'), ['f' => $value])), true];
    yield 'XLEN' => [static fn () => $redis->xlen($key('stream')) >= 1, true];
    yield 'PFADD' => [static fn () => (int) $redis->pfadd($key('logs'), ['a']) <= 1, true];
    yield 'SETBIT' => [static fn () => (int) $redis->setbit($key('bits'), 7, 1) <= 1, true];
    yield 'MSET' => [static fn () => $redis->mset([$key('string') => "a$round", $key('other') => "b$round"]), 'OK'];
    yield 'MGET' => [static fn () => $redis->mget([$key('string'), $key('other'), $key('none')]), ["a$round", "b$round", null]];
    yield 'EVAL' => [static fn () => $redis->eval("return redis.call('GET', KEYS[1])", 1, $key('other')), "b$round"];
    yield 'pipeline' => [static function () use ($redis, $key, $value): array {
        $pipe = $redis->pipeline();
        for ($i = 0; $i < 20; $i++) {
            $pipe->set($key("p$i"), "$value-$i");
        }
        for ($i = 0; $i < 20; $i++) {
            $pipe->get($key("p$i"));
        }

        return array_slice($pipe->execute(), 20);
    }, array_map(static fn (int $i): string => "$value-$i", range(0, 19))];
    yield 'transaction' => [static fn () => $redis->transaction()
        ->set($key('string'), $value)->hset($key('hash'), 'f', $value)->get($key('string'))->hget($key('hash'), 'f')
        ->execute()[2], $value];
};

$increments = static function (string $tag) use ($redis): iterable {
    yield 'INCR' => [static fn () => is_int($count = $redis->incr("{{$tag}}n")) ?: $count, true];
};

$walked = array_map(static fn (int $number): string => "walked:$number", range(0, 599));
if ($kind === 'walks') {
    $redis->mset(array_fill_keys($walked, 'v'));
}
$walks = static function () use ($redis, $walked): iterable {
    [$cursor, $seen] = ['0', []];
    do {
        yield 'SCAN' => [static function () use ($redis, &$cursor, &$seen): bool {
            [$cursor, $keys] = $redis->scan($cursor, ['MATCH' => 'walked:*', 'COUNT' => 10]);
            $seen += array_flip($keys);

            return true;
        }, true];
    } while ($cursor !== '0');
    yield 'walk' => [static fn () => array_values(array_diff($walked, array_keys($seen))), []];
};

$work = ['everything' => $everything, 'increments' => $increments, 'walks' => $walks][$kind];
stream_set_blocking(STDIN, false);
for ($round = 1; fgets(STDIN) === false; $round++) {
    foreach ($tags as $tag) {
        foreach ($work($tag, $round) as $name => [$operation, $expected]) {
            $began = hrtime(true);
            try {
                $result = $operation();
                [$outcome, $detail] = $result === $expected ? ['ok', ''] : ['wrong', json_encode($result)];
            } catch (Throwable $thrown) {
                $outcome = $thrown instanceof OutcomeUnknown ? 'unknown' : 'failed';
                $detail = $thrown::class . ': ' . strtr($thrown->getMessage(), "\n", ' ');
            }
            printf("%.6f %.6f %s %s %s\n", $began / 1e9, hrtime(true) / 1e9, $outcome, $name, $detail);
            if ($outcome === 'unknown') {
                // What follows builds on what it may not have done.
                break;
            }
        }
        // The machine is to have some time for the nodes, too.
        usleep(1_000);
    }
}
