<?php

declare(strict_types=1);

/*
 * handshake.php CLIENT PLACE ROUNDS PLAIN-PORT CERTIFICATE: a new connection with its first PING, in turn with a full handshake and
 * with a session that is resumed. Being told its certificate again, by the plain port, makes the server forget its sessions.
 * Prints, as JSON, microseconds of CPU and of time of each connection.
 */

use Benches\Loops;
use Benches\Place;
use Tests\Support\Resp;

require __DIR__ . '/autoload.php';

[, $client, $place, $rounds, $plain, $certificate] = $argv;
$place = Place::parse($place);
$server = new Resp((int) $plain);
$cpu = static function (): int {
    $usage = getrusage();

    return 1_000_000 * ($usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec']) + $usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec'];
};
$connection = static function () use ($client, $place, $cpu): array {
    $spent = $cpu();
    $begun = hrtime(true);
    Loops::connect($client, $place)->ping();
    $client !== 'resilient' || ResilientRedis::resetPools();

    return ['wall' => (hrtime(true) - $begun) / 1e3, 'cpu' => $cpu() - $spent];
};
$connection();
$seen = [];
for ($round = 0; $round < (int) $rounds; $round++) {
    $server->command('CONFIG', 'SET', 'tls-cert-file', $certificate);
    $seen['full'][] = $connection();
    $connection();
    $seen['resumed'][] = $connection();
}
echo json_encode($seen, JSON_THROW_ON_ERROR);
