<?php

declare(strict_types=1);

$redis = new ResilientRedis($_GET['endpoint']);
echo json_encode(['page' => $redis->get('page'), 'worker' => getmypid()]);
