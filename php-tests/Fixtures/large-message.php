<?php

declare(strict_types=1);

/* Waits for a message that memory_limit has no room for. */

$redis = new ResilientRedis($argv[1]);
$redis->onEvent(static function (string $event): void {
    echo "event $event\n";
});
try {
    $redis->pubSubLoop(['subscribe' => 'news'], static function (object $loop, object $message): void {
        echo "$message->kind\n";
    });
} finally {
    echo "went on\n";
}
