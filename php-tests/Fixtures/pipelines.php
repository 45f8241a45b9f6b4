<?php

declare(strict_types=1);

/* Runs a pipeline of GETs a number of times: pipelines.php ENDPOINT TIMES COMMANDS */

[, $endpoint, $times, $commands] = $argv;
$redis = new ResilientRedis($endpoint);
for ($i = 0; $i < (int) $times; $i++) {
    $pipeline = $redis->pipeline();
    for ($j = 0; $j < (int) $commands; $j++) {
        $pipeline->get('key');
    }
    $pipeline->execute();
}
