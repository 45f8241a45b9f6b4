<?php

declare(strict_types=1);

/*
 * watch-for-promotion.php PORT ...: waits until one of the replicas is primary, and prints the moment before the question
 * that showed it, on the monotonic clock, which all processes share, and that one's port.
 */

use Tests\Support\Resp;
use Tests\Support\Wait;

require dirname(__DIR__) . '/autoload.php';

$replicas = [];
for (;;) {
    foreach (array_slice($argv, 1) as $port) {
        $asked = Wait::now();
        try {
            $replicas[$port] ??= new Resp((int) $port);
            $role = ((array) $replicas[$port]->command('ROLE'))[0];
        } catch (RuntimeException) {
            // A Sentinel closes the connections of the node that it promotes.
            unset($replicas[$port]);
            continue;
        }
        if ($role === 'master') {
            printf("%.6f %d\n", $asked, $port);
            exit(0);
        }
    }
    usleep(500);
}
