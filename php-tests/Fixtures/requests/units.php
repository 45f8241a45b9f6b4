<?php

declare(strict_types=1);

/* A request that is two units, and leaves the third open. */

$redis = new ResilientRedis($_GET['endpoint']);
$seen = [];
for ($i = 0; $i < 2; $i++) {
    ResilientRedis::beginUnit();
    $redis->incr('units');
    preg_match('/ db=\d+/', (string) $redis->executeRaw(['CLIENT', 'INFO']), $found);
    $seen[] = trim($found[0]);
    $redis->select(4);
    $redis->watch('units');
    ResilientRedis::endUnit();
}
ResilientRedis::beginUnit();
$redis->multi();
$redis->incr('units');
echo json_encode(['seen' => $seen, 'worker' => getmypid()]);
