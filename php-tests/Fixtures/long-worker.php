<?php

declare(strict_types=1);

/*
 * long-worker.php ENDPOINT WARM COMMANDS [units]: a worker that never ends. Says what it holds after WARM and after
 * COMMANDS commands. With `units` each job is one, and leaves behind what it has opened.
 */

[, $endpoint, $warm, $commands, $units] = $argv + [4 => ''];

/** Its memory in KiB, as the kernel counts it without what it shares, and its open files. */
function holds(): array
{
    preg_match('/^RssAnon:\s+(\d+)/m', (string) file_get_contents('/proc/self/status'), $found);

    return ['memory' => (int) $found[1], 'files' => count(scandir('/proc/self/fd')), 'php' => memory_get_usage()];
}

$redis = new ResilientRedis($endpoint);
$done = 0;
$work = static function (int $until) use ($redis, $endpoint, $units, &$done): void {
    for (; $done < $until; $done += 20) {
        if ($units !== '') {
            ResilientRedis::beginUnit();
        }
        for ($i = 0; $i < 6; $i++) {
            $redis->set("key:$i", "value $done");
            $redis->get("key:$i");
        }
        $redis->hset('hash', 'field', (string) $done);
        $redis->hgetall('hash');
        $redis->pipeline(static fn ($pipeline) => $pipeline->incr('counter')->get('counter'));
        $redis->transaction(static fn ($transaction) => $transaction->set('a', 1));
        try {
            $redis->incr('hash');
        } catch (ResilientRedis\ServerException) {
        }
        // As a job does that makes its own.
        $own = new ResilientRedis($endpoint);
        $own->ping();
        if ($units !== '') {
            $own->watch('key');
            $pipeline = $own->pipeline()->set('key', 'never sent');
            if ($done % 1000 === 0) {
                $own->pubSubLoop(['subscribe' => 'news'])->current();
            }
            ResilientRedis::endUnit();
        }
    }
};
$work((int) $warm);
$before = holds();
$work((int) $commands);
echo json_encode(['before' => $before, 'after' => holds(), 'commands' => $done]), "\n";
