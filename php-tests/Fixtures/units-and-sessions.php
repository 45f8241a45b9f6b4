<?php

declare(strict_types=1);

/* units-and-sessions.php ENDPOINT handler|ini: a unit that leaves its session open, and one that opens it again. */

[, $endpoint, $way] = $argv;
$redis = new ResilientRedis($endpoint);
if ($way === 'ini') {
    ini_set('session.save_handler', 'resilient_redis');
    ini_set('session.save_path', "$endpoint?locking=1&lock_wait=0.2");
} else {
    (new ResilientRedis\SessionHandler($redis, ['locking' => true, 'lock_wait' => 0.2]))->register();
}

ResilientRedis::beginUnit();
session_id('abc');
session_start();
$_SESSION['said'] = 'of the unit before';
ResilientRedis::endUnit();
$locked = $redis->exists('{abc}:lock');
$written = str_contains((string) $redis->get('abc'), 'of the unit before');
echo $written && !$locked && session_status() === PHP_SESSION_NONE ? "written and let go\n" : "not so\n";

ResilientRedis::beginUnit();
session_id('abc');
session_start();
$_SESSION['said'] = $_SESSION['said'] === 'of the unit before' ? 'of the next unit' : 'wrong';
ResilientRedis::endUnit();
echo $_SESSION['said'], "\n";
