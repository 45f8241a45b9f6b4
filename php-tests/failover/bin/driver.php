<?php

declare(strict_types=1);

/*
 * driver.php PLAN: the program under test. PLAN is JSON: the client's name and arguments, the operations, how many of them per
 * second and for how long. Prints `started`, and at the end one line of JSON: every operation with the times of its start and
 * its end on the monotonic clock, what became of it, and what the client says of itself.
 */

use Tests\Failover\Clients;

require dirname(__DIR__) . '/autoload.php';

$plan = json_decode($argv[1], true, 16, JSON_THROW_ON_ERROR);
$client = Clients::make($plan['client'], $plan['parameters'], $plan['options']);
$now = static fn (): float => hrtime(true) / 1e9;

// Whatever has to be loaded and learned first is not what is measured.
$client->run('set', 'warm', 'up');
$client->run('get', 'warm');
$warm = $client->dialed();
echo "started\n";

$log = [];
$begin = $now();
$pauses = $plan['pauses'] ?? [];
for ($number = 0; $now() - $begin < $plan['seconds']; $number++) {
    $operation = $plan['operations'][$number % count($plan['operations'])];
    if ($operation === 'reconnect') {
        $client->reset();
    }
    $start = $now();
    [$outcome, $detail] = match ($operation) {
        'incr', 'reconnect' => $client->run('incr', "i:$number"),
        'set' => $client->run('set', "s:$number", (string) $number),
        'get' => $client->run('get', 'warm'),
        'setnx' => $client->run('set', "x:$number", (string) $number, 'NX'),
    };
    $end = $now();
    $log[] = [$operation, $number, $start, $end, $outcome, $detail];
    $pause = $pauses[$number] ?? null;
    // No catching up after a pause: a program waits for its user, not for the clock.
    $rest = $pause ?? 1 / $plan['rate'] - ($end - $start);
    if ($rest > 0) {
        usleep((int) ($rest * 1e6));
    }
}
echo json_encode(['log' => $log, 'dialed' => $client->dialed() - $warm], JSON_THROW_ON_ERROR | JSON_INVALID_UTF8_SUBSTITUTE), "\n";
