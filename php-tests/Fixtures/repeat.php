<?php

declare(strict_types=1);

/* Runs one command a number of times: repeat.php TIMES ENDPOINT OPTIONS-AS-JSON COMMAND [ARGUMENT ...] */

[, $times, $endpoint, $options, $command] = $argv;
$arguments = array_slice($argv, 5);
$redis = new ResilientRedis($endpoint, json_decode($options, true));
for ($i = 0; $i < (int) $times; $i++) {
    $redis->$command(...$arguments);
}
