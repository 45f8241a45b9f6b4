<?php

declare(strict_types=1);

/* What an ordinary request does: it must see its own replies, database 0 and no transaction. */

$redis = new ResilientRedis($_GET['endpoint']);
$redis->set('token', $_GET['token']);
$token = $redis->get('token');
$redis->multi();
$redis->set('token', $_GET['token']);
$redis->get('token');
$transaction = $redis->exec();
preg_match('/ db=(\d+) /', (string) $redis->executeRaw(['CLIENT', 'INFO']), $found);

echo json_encode([
    'worker' => getmypid(),
    'token' => $token,
    'transaction' => $transaction,
    'database' => (int) $found[1],
    'pong' => $redis->ping(),
]);
