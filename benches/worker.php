<?php

declare(strict_types=1);

/*
 * worker.php CLIENT PLACE OPERATION [TIMES]: a client at work. With TIMES it does the operation so often and ends. Without, it
 * reads from its input how often, does it, and answers with a line: microseconds of CPU, microseconds of time, and the most
 * memory that the process has had, in KB.
 */

use Benches\Loops;
use Benches\Place;

require __DIR__ . '/autoload.php';

[, $client, $place, $operation] = $argv;
$run = Loops::of($operation, $client, Loops::connect($client, Place::parse($place)));
if (isset($argv[4])) {
    $run((int) $argv[4]);
    exit;
}

$cpu = static function (): int {
    $usage = getrusage();

    return 1_000_000 * ($usage['ru_utime.tv_sec'] + $usage['ru_stime.tv_sec']) + $usage['ru_utime.tv_usec'] + $usage['ru_stime.tv_usec'];
};
while (($line = fgets(STDIN)) !== false) {
    $times = (int) $line;
    $spent = $cpu();
    $begun = hrtime(true);
    $run($times);
    $time = intdiv(hrtime(true) - $begun, 1000);
    $spent = $cpu() - $spent;
    preg_match('/^VmHWM:\s+(\d+)/m', (string) file_get_contents('/proc/self/status'), $peak);
    echo "$spent $time $peak[1]\n";
}
