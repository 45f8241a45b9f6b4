<?php

declare(strict_types=1);

/* Says who serves it, does one command if asked to (again and again for some seconds), and tells what this worker knows. */

if (isset($_GET['note'])) {
    file_put_contents($_GET['note'], (string) getmypid());
}
$options = isset($_GET['options']) ? json_decode($_GET['options'], true) : [];
$redis = new ResilientRedis($_GET['endpoint'], $options);
$known = $redis->topology()['primary'];
$begun = hrtime(true);
$outcome = null;
if (isset($_GET['command'])) {
    try {
        do {
            $outcome = $redis->executeRaw(explode(' ', $_GET['command']));
        } while (hrtime(true) < $begun + 1e9 * (float) ($_GET['seconds'] ?? 0));
    } catch (ResilientRedis\Exception $failure) {
        $outcome = $failure::class . ': ' . $failure->getMessage();
    }
}
$ended = hrtime(true);
usleep((int) ($_GET['hold'] ?? 0));

echo json_encode([
    'worker' => getmypid(),
    'user' => fileowner('/proc/self'),
    'known' => $known,
    'outcome' => $outcome,
    'took' => ($ended - $begun) / 1e9,
    'ended' => $ended / 1e9,
    'topology' => $redis->topology(),
    'stats' => $redis->stats(),
]);
