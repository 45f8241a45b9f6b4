<?php

/**
 * Compares ResilientRedis with phpredis, Predis and a loop in C on hiredis, and writes the page and the charts. `make bench`
 * runs it.
 *
 *     php -d extension=... benches/compare.php [--quick] [--only=speed,instructions,...] [--page=docs/performance.md]
 *
 * What was measured is kept in build/bench.json: with --only the rest of the page comes from there.
 */

declare(strict_types=1);

use Benches\Footprint;
use Benches\Handshakes;
use Benches\Measurements;
use Benches\Page;
use Benches\Requests;
use Benches\Scale;

require __DIR__ . '/autoload.php';

$options = getopt('', ['quick', 'only:', 'page:']);
$quick = isset($options['quick']);
$kept = dirname(__DIR__) . '/build/bench.json';
$operations = new Measurements();
$parts = [
    'speed' => static fn (): array => $operations->speed($quick ? 5 : 21),
    'instructions' => static fn (): array => $operations->instructions(),
    'calls' => static fn (): array => $operations->systemCalls(),
    'footprint' => static fn (): array => Footprint::all(),
    'handshakes' => static fn (): array => Handshakes::all($quick ? 30 : 200),
    'requests' => static fn (): array => Requests::all($quick ? 5 : 25),
    'scale' => static fn (): array => Scale::all($quick ? 10_000 : 1_000_000, $quick ? 3 : 9),
];
$chosen = isset($options['only']) ? explode(',', $options['only']) : array_keys($parts);
if ($unknown = array_diff($chosen, array_keys($parts))) {
    fwrite(STDERR, 'There is no part ' . implode(', ', $unknown) . '; there are: ' . implode(', ', array_keys($parts)) . "\n");
    exit(2);
}
$measured = isset($options['only']) && is_file($kept) ? json_decode((string) file_get_contents($kept), true, 16, JSON_THROW_ON_ERROR) : [];
$measured += ['load' => round(sys_getloadavg()[0], 1), 'quick' => $quick];
foreach ($chosen as $part) {
    echo "-- $part\n";
    $measured[$part] = $parts[$part]();
    file_put_contents($kept, json_encode($measured, JSON_THROW_ON_ERROR));
}
if (isset($options['page'])) {
    Page::write($options['page'], $measured);
    echo "\nThe page: {$options['page']}\n";
}
