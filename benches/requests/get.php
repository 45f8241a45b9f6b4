<?php

declare(strict_types=1);

/* A request: a new client, and so many GETs. */

switch ($_GET['client']) {
    case 'resilient':
        $redis = new ResilientRedis("tcp://127.0.0.1:$_GET[port]");
        break;
    case 'phpredis':
        $redis = new Redis();
        $redis->connect('127.0.0.1', (int) $_GET['port']);
        break;
    case 'phpredis-kept':
        $redis = new Redis();
        $redis->pconnect('127.0.0.1', (int) $_GET['port']);
        break;
    case 'predis':
    case 'predis-kept':
        require_once 'Predis/Autoloader.php';
        Predis\Autoloader::register();
        $redis = new Predis\Client(['host' => '127.0.0.1', 'port' => (int) $_GET['port'], 'persistent' => $_GET['client'] === 'predis-kept']);
        break;
    default:
        exit('nothing');
}
for ($i = 0; $i < (int) $_GET['gets']; $i++) {
    $value = $redis->get('get-32');
}
echo strlen($value);
