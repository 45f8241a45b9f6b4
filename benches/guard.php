<?php

/**
 * Keeps commands from becoming slower unseen: counts the instructions that a few of them take, and fails where one takes more
 * than ceilings.tsv allows. It measures no time, so that a busy machine changes nothing. `make test` runs it.
 *
 *     php -d extension=... benches/guard.php
 */

declare(strict_types=1);

use Benches\Counting;
use Benches\Operations;
use Benches\Place;
use Tests\Support\RedisServer;

require __DIR__ . '/autoload.php';

$php = PHP_MAJOR_VERSION . '.' . PHP_MINOR_VERSION;
$ceilings = [];
foreach (file(__DIR__ . '/ceilings.tsv', FILE_IGNORE_NEW_LINES) ?: [] as $line) {
    if ($line !== '' && $line[0] !== '#') {
        [$version, $operation, $ceiling] = explode("\t", $line);
        $ceilings[$operation][$version] = (int) $ceiling;
    }
}

$server = RedisServer::start();
Operations::fill($server);
$place = Place::tcp($server->port);
$counts = Counting::instructions(array_map(
    static fn (string $operation): array => Counting::pair('resilient', $place, $operation),
    array_combine(array_keys($ceilings), array_keys($ceilings)),
));

$exceeded = false;
foreach ($counts as $operation => $count) {
    $ceiling = $ceilings[$operation][$php] ?? null;
    $over = $ceiling !== null && $count > $ceiling;
    $exceeded = $exceeded || $over;
    printf(
        "%-16s %10s instructions, %s%s\n",
        Operations::ALL[$operation],
        number_format($count),
        $ceiling === null ? "and no ceiling is known for PHP $php" : 'at most ' . number_format($ceiling),
        $over ? ': TOO MANY' : '',
    );
}
if ($exceeded) {
    fwrite(STDERR, "A command takes more instructions than benches/ceilings.tsv allows. What has become slower? That file says when to raise one.\n");
    exit(1);
}
