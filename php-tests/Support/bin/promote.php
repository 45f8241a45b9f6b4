<?php

declare(strict_types=1);

/*
 * promote.php SECONDS PORT [FOLLOWER ...]: makes the replica on PORT the primary after SECONDS, lets the followers follow it, and
 * prints the moment before the promotion on the monotonic clock, which all processes share.
 */

use Tests\Support\Resp;
use Tests\Support\Wait;

require dirname(__DIR__) . '/autoload.php';

[, $seconds, $port] = $argv;
$chosen = new Resp((int) $port);
usleep((int) ((float) $seconds * 1e6));
// Before the command, not after its answer: a client may be faster than we are.
$promotedAt = Wait::now();
$chosen->command('REPLICAOF', 'NO', 'ONE');
printf("%.6f\n", $promotedAt);
foreach (array_slice($argv, 3) as $follower) {
    (new Resp((int) $follower))->command('REPLICAOF', '127.0.0.1', $port);
}
