<?php

declare(strict_types=1);

/*
 * signalled.php ENDPOINT FORM: a queue worker that waits for ever, and is told to stop by SIGTERM. Says what it took, and how
 * long it went on after the signal.
 */

[, $endpoint, $form] = $argv;
pcntl_async_signals(true);
$stop = $told = null;
pcntl_signal(SIGTERM, static function () use (&$stop, &$told, $endpoint): void {
    // A handler is ordinary code: it may use Redis, too.
    (new ResilientRedis($endpoint))->incr('handlers');
    $stop = true;
    $told = hrtime(true);
});
$alarms = 0;
pcntl_signal(SIGALRM, static function () use (&$alarms): void {
    $alarms++;
});

$redis = new ResilientRedis($endpoint);
$redis->ping();
echo "ready\n";
$taken = [];
while (!$stop) {
    $reply = match ($form) {
        'BLPOP' => $redis->blpop('queue', 0),
        'BLMOVE' => $redis->blmove('queue', 'processing', 'LEFT', 'RIGHT', 0),
        'XREAD' => $redis->executeRaw(['XREAD', 'BLOCK', '0', 'STREAMS', 'stream', '$']),
        'a pipeline' => $redis->pipeline(static fn ($pipeline) => $pipeline->blpop('queue', 0)->blpop('other', 0))[0],
    };
    if ($reply !== null) {
        $taken[] = is_array($reply) ? $reply[1] : $reply;
    }
}
echo json_encode(['taken' => $taken, 'alarms' => $alarms, 'pong' => $redis->ping()]), "\n";
