<?php

declare(strict_types=1);

/*
 * consume.php [ENDPOINT]: takes jobs from the list `jobs`, each a unit of work, until SIGTERM or SIGINT comes or its memory has grown.
 * A job stands in `jobs:taken` while it is done, so that one whose worker dies is not lost.
 */

$redis = new ResilientRedis($argv[1] ?? 'tcp://127.0.0.1:6379');
$goesOn = true;
pcntl_async_signals(true);
foreach ([SIGTERM, SIGINT] as $signal) {
    pcntl_signal($signal, static function () use (&$goesOn): void {
        $goesOn = false;
    });
}

/** What the application does. A job in production is less tidy than it thinks. */
$do = static function (string $job) use ($redis): void {
    if ($job === 'a bad one') {
        $redis->select(5);
        $redis->multi();
        throw new DomainException('a bad one');
    }
    $redis->hincrby('done', $job, 1);
};

while ($goesOn && memory_get_usage() < 64 << 20) {
    // 0: waits for ever. A signal ends the wait with null, and no job is lost.
    $job = $redis->blmove('jobs', 'jobs:taken', 'RIGHT', 'LEFT', 0);
    if ($job === null) {
        continue;
    }
    ResilientRedis::beginUnit();
    try {
        $do($job);
    } catch (Throwable $thrown) {
        fwrite(STDERR, "$job: {$thrown->getMessage()}\n");
    } finally {
        ResilientRedis::endUnit();
    }
    $redis->lrem('jobs:taken', 1, $job);
}
echo "ended\n";
