<?php

declare(strict_types=1);

/* Writes a token of its own, reads it back, and looks at the connection that it was given. */

$redis = new ResilientRedis($_GET['endpoint']);
$redis->set('token:' . $_GET['token'], $_GET['token']);
$transaction = $redis->transaction(static function ($transaction): void {
    $transaction->set('token', $_GET['token']);
    $transaction->ping();
});
$connection = [];
foreach (explode(' ', trim((string) $redis->executeRaw(['CLIENT', 'INFO']))) as $pair) {
    [$name, $value] = explode('=', $pair, 2) + ['', ''];
    $connection[$name] = $value;
}

echo json_encode([
    'token' => $redis->get('token:' . $_GET['token']),
    'transaction' => $transaction,
    'connection' => array_intersect_key($connection, array_flip(['db', 'user', 'flags', 'sub', 'psub', 'name', 'resp'])),
    'pong' => $redis->ping(),
]);
