<?php

declare(strict_types=1);

// What every thread of the host runs in each request: commands whose replies nobody else can have.
[, $endpoint, $thread, $request] = $_SERVER['argv'];
const COMMANDS = 5_000;

$redis = new ResilientRedis($endpoint);
$own = "$thread:$request";
$sent = $wrong = 0;
$check = static function (mixed $expected, mixed $seen, int $commands) use (&$sent, &$wrong, $own): void {
    $sent += $commands;
    if ($expected !== $seen) {
        $wrong++;
        file_put_contents('php://stderr', sprintf("%s expected %s and saw %s\n", $own, json_encode($expected), json_encode($seen)));
    }
};

for ($i = 1; $sent < COMMANDS; $i++) {
    $token = "$own:$i";
    $check('OK', $redis->set("k:$own", $token), 1);
    $check($token, $redis->get("k:$own"), 1);
    $check($i, $redis->incr("n:$own"), 1);
    $check([$token, (string) $i, $token], $redis->pipeline(static fn ($pipe) => $pipe->get("k:$own")->get("n:$own")->echo($token)), 3);
    if ($i % 10 === 0) {
        $check([$i + 1, $i], $redis->transaction(static fn ($queue) => $queue->incr("n:$own")->decr("n:$own")), 4);
        $check(['f' => $token], [$redis->hset("h:$own", 'f', $token), $redis->hgetall("h:$own")][1], 2);
        try {
            $redis->lpush("k:$own", 'x');
            $check('an exception', 'none', 1);
        } catch (ResilientRedis\ServerException $exception) {
            $check('LPUSH', $exception->getCommand(), 1);
        }
    }
    if ($i % 100 === 0) {
        $redis->select(1);
        $check(null, $redis->get("k:$own"), 2);
        $redis->select(0);
    }
}
echo json_encode(['thread' => (int) $thread, 'request' => (int) $request, 'sent' => $sent, 'wrong' => $wrong]), "\n";

if (getenv('ENDINGS') !== 'bad') {
    return;
}
// Requests end in every way; the next one of this thread, and of any other, must not notice.
switch (((int) $thread + (int) $request) % 5) {
    case 0:
        break;
    case 1:
        exit(3);
    case 2:
        $redis->select(5);
        $redis->watch("k:$own");
        break;
    case 3:
        ini_set('memory_limit', '16M');
        ini_set('display_errors', '0');
        $redis->pipeline(static function ($pipe) use ($own): void {
            $pipe->get("k:$own");
            $GLOBALS['held'] = str_repeat('x', 64 << 20);
        });
        break;
    default:
        ini_set('display_errors', '0');
        throw new RuntimeException('nobody catches this');
}
