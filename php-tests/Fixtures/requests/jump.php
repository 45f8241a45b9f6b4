<?php

declare(strict_types=1);

/*
 * A fatal error of the compiler, out of which PHP jumps, in PHP code that a command calls, with a megabyte or more of the
 * command's in hand. Without `in`: how much memory the worker has.
 */

if (!isset($_GET['in'])) {
    preg_match('/VmRSS:\s+(\d+) kB/', (string) file_get_contents('/proc/self/status'), $found);
    echo json_encode(['pid' => getmypid(), 'kilobytes' => (int) $found[1]]);

    return;
}

function jump(): never
{
    echo 'it jumps';
    eval('function jump() {}');
}

$long = str_repeat('n', 1 << 20);
$text = new class {
    public function __toString(): string
    {
        jump();
    }
};
$many = [$text, ...array_fill(0, 99_999, 'x')];
spl_autoload_register(static fn () => jump());
$redis = new ResilientRedis($_GET['endpoint'], ['commands' => [$long => $long]]);

match ($_GET['in']) {
    'the class of a command' => $redis->$long('k'),
    'the class of a created command' => $redis->createCommand($long, ['k']),
    'the words of a created command' => $redis->createCommand('mset', $many),
    'the words of an unknown command' => $redis->unknown(...$many),
    'the words of executeRaw' => $redis->executeRaw(['GET', ...$many]),
};
