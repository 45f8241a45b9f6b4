<?php

declare(strict_types=1);

/* Brings its connection into a state, and ends badly. */

$redis = new ResilientRedis($_GET['endpoint']);
$state = $_GET['state'];

if (str_contains($state, 'WATCH')) {
    $redis->watch('watched');
}
if (str_contains($state, 'MULTI')) {
    $redis->multi();
    $redis->set('queued', 'never');
}
if ($state === 'another database') {
    $redis->select(7);
    $redis->set('token', 'of database 7');
}

$end = static function () use ($state): void {
    echo "in $state\n";
    switch ($_GET['ending']) {
        case 'exit':
            exit('by exit');
        case 'fatal error':
            eval('final class Twice {} final class Twice {}');
            break;
        case 'uncaught exception':
            throw new DomainException('nobody catches it');
        case 'memory limit':
            ini_set('memory_limit', '8M');
            str_repeat('x', 64 << 20);
            break;
        case 'time limit':
            set_time_limit(1);
            while (true) {
                // Burns processor time, which is what the limit counts.
            }
    }
};

if ($state === 'a pipeline') {
    $redis->pipeline(static function ($pipeline) use ($end): void {
        $pipeline->multi()->set('queued', 'never');
        $end();
    });
} elseif ($state === 'a watched transaction') {
    $redis->transaction(['watch' => 'watched', 'cas' => true], static function ($transaction) use ($end): void {
        $transaction->get('watched');
        $transaction->multi();
        $transaction->set('queued', 'never');
        $end();
    });
} else {
    $end();
}
