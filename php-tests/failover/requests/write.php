<?php

declare(strict_types=1);

/* One request of a web application that writes: what became of it, and how long Redis took. */

$now = static fn (): float => hrtime(true) / 1e9;
$options = json_decode($_GET['options'], true);
$start = $now();
try {
    $redis = new ResilientRedis(json_decode($_GET['parameters'], true), $options);
    $redis->set('page:' . getmypid(), (string) $start);
    $outcome = 'ok';
} catch (ResilientRedis\OutcomeUnknown $failure) {
    $outcome = 'unknown';
} catch (Throwable $failure) {
    $outcome = $failure::class;
}
echo json_encode([getmypid(), $start, $now(), $outcome, isset($failure) ? $failure->getMessage() : '']);
