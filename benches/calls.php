<?php

/**
 * What a call of one of our methods costs beside a call of an empty method in C: in time, all measured in turn within one
 * process, and in instructions, where valgrind is there. `make bench-calls` runs it.
 *
 *     php -d extension=... benches/calls.php [--rounds=31] [--calls=200000]
 */

declare(strict_types=1);

/** Loads the empty method; it is compiled for the PHP that runs this. */
function with_empty_method(): string
{
    $library = __DIR__ . '/../build/bench_empty.so';
    is_dir(dirname($library)) || mkdir(dirname($library));
    $includes = trim((string) shell_exec((getenv('PHP_CONFIG') ?: 'php-config') . ' --includes'));
    $command = sprintf('cc -O2 -fPIC -shared %s %s -o %s', $includes, escapeshellarg(__DIR__ . '/empty.c'), escapeshellarg($library));
    passthru($command, $status);
    $status === 0 || exit("the empty method could not be compiled\n");

    return (string) realpath($library);
}

/** @return list<string> a PHP with both extensions and nothing else */
function php(string $empty): array
{
    foreach (file('/proc/self/maps') ?: [] as $mapping) {
        if (preg_match('~ (/\S.*resilient_redis\.so)$~', rtrim($mapping), $found) === 1) {
            return [PHP_BINARY, '-n', '-d', "extension=$found[1]", '-d', "extension=$empty", __FILE__];
        }
    }
    exit("the extension resilient_redis is not loaded\n");
}

/** @return array<string, Closure(int): void> what is called, by its name */
function subjects(): array
{
    $nothing = new BenchEmpty();
    $redis = new ResilientRedis('tcp://127.0.0.1:1');
    $pipe = $redis->pipeline();

    return [
        'an empty loop' => static function (int $calls): void {
            for ($i = 0; $i < $calls; $i++) {
            }
        },
        'an empty method in C' => static function (int $calls) use ($nothing): void {
            for ($i = 0; $i < $calls; $i++) {
                $nothing->nothing();
            }
        },
        'isConnected()' => static function (int $calls) use ($redis): void {
            for ($i = 0; $i < $calls; $i++) {
                $redis->isConnected();
            }
        },
        '$pipeline->count()' => static function (int $calls) use ($pipe): void {
            for ($i = 0; $i < $calls; $i++) {
                $pipe->count();
            }
        },
        "\$pipeline->get('key'), which queues it" => static function (int $calls) use ($pipe): void {
            for ($i = 0; $i < $calls; $i++) {
                $pipe->get('key');
            }
            $pipe->flushPipeline(false);
        },
    ];
}

function measure(int $rounds, int $calls): void
{
    $subjects = subjects();
    $times = array_fill_keys(array_keys($subjects), []);
    foreach ($subjects as $run) {
        $run(1000);
    }
    for ($round = 0; $round < $rounds; $round++) {
        foreach ($subjects as $name => $run) {
            $begun = hrtime(true);
            $run($calls);
            $times[$name][] = (hrtime(true) - $begun) / $calls;
        }
    }
    foreach ($times as $name => $seen) {
        sort($seen);
        $times[$name] = $seen[intdiv($rounds, 2)];
    }
    echo json_encode($times, JSON_THROW_ON_ERROR), "\n";
}

/** Instructions of so many calls of one subject, start and end of PHP included. */
function instructions(string $empty, string $subject, int $calls): int
{
    $out = tempnam(sys_get_temp_dir(), 'calls');
    $command = ['valgrind', '--tool=callgrind', "--callgrind-out-file=$out", ...php($empty), '--subject=' . $subject, "--calls=$calls"];
    exec(implode(' ', array_map('escapeshellarg', $command)) . ' 2>&1', $output);
    preg_match('~^(?:summary|totals): (\d+)~m', (string) file_get_contents((string) $out), $found);
    unlink((string) $out);

    return (int) ($found[1] ?? exit("callgrind said nothing:\n" . implode("\n", $output) . "\n"));
}

$options = getopt('', ['rounds:', 'calls:', 'subject:', 'child']);
$calls = (int) ($options['calls'] ?? 200_000);
if (isset($options['subject'])) {
    subjects()[$options['subject']]($calls);
    exit;
}
if (isset($options['child'])) {
    measure((int) ($options['rounds'] ?? 31), $calls);
    exit;
}
$empty = with_empty_method();
$rounds = (int) ($options['rounds'] ?? 31);
$child = [...php($empty), '--child', "--rounds=$rounds", "--calls=$calls"];
$times = json_decode((string) shell_exec(implode(' ', array_map('escapeshellarg', $child))), true, 8, JSON_THROW_ON_ERROR);
$counts = trim((string) shell_exec('command -v valgrind')) !== '';
printf("median of %d rounds of %d calls%s\n\n", $rounds, $calls, $counts ? ', instructions by callgrind' : ' (no valgrind: instructions are not counted)');
printf("%-42s %10s %24s %14s\n", '', 'ns a call', 'beside the empty method', 'instructions');
foreach ($times as $name => $time) {
    $cost = $counts ? (instructions($empty, $name, 20_000) - instructions($empty, $name, 10_000)) / 10_000 : null;
    $beside = $name === 'an empty loop' ? '' : sprintf('%+.1f ns', $time - $times['an empty method in C']);
    printf("%-42s %10.1f %24s %14s\n", $name, $time, $beside, $cost === null ? '-' : number_format($cost, 1));
}
