<?php

declare(strict_types=1);

/* Leaves its connection in the worst state it can, and ends as badly as it can. */

$redis = new ResilientRedis($_GET['endpoint']);

/** What it does with its connection. */
$states = (require __DIR__ . '/../connection-states.php')($redis) + [
    'a command' => static fn () => $redis->set('token', 'of a hostile request'),
    'SELECT' => static fn () => $redis->select(7)->set('token', 'of database 7'),
];

/** How it ends. */
$endings = [
    'return' => static fn () => null,
    'exit' => static fn () => exit('by exit'),
    'fatal error' => static fn () => eval('final class Twice {} final class Twice {}'),
    'uncaught exception' => static fn () => throw new DomainException('nobody catches it'),
    'memory limit' => static function (): void {
        ini_set('memory_limit', '8M');
        str_repeat('x', 64 << 20);
    },
    'memory limit in a reply' => static function () use ($redis): void {
        ini_set('memory_limit', '3M');
        $redis->pipeline(static function ($pipeline): void {
            for ($i = 0; $i < 100; $i++) {
                $pipeline->get('large');
            }
        });
    },
    'time limit' => static function (): void {
        set_time_limit(1);
        while (true) {
            // Burns processor time, which is what the limit counts.
        }
    },
    'a pipeline that throws' => static fn () => $redis->pipeline(static function ($pipeline): void {
        $pipeline->set('token', 'never sent');
        throw new DomainException('in the middle of a pipeline');
    }),
    'a pipeline that exits' => static fn () => $redis->pipeline(static function ($pipeline): void {
        $pipeline->set('token', 'never sent');
        exit('in the middle of a pipeline');
    }),
    'a transaction that exits' => static fn () => $redis->transaction(
        ['watch' => 'token', 'cas' => true],
        static function ($transaction): void {
            $transaction->get('token');
            $transaction->multi();
            $transaction->set('token', 'never sent');
            exit('in the middle of a transaction');
        },
    ),
    'a generator that is abandoned' => static function () use ($redis): void {
        $generator = (static function () use ($redis) {
            $pipeline = $redis->pipeline();
            try {
                while (true) {
                    yield $pipeline->set('token', 'never sent');
                }
            } finally {
                $redis->get('token');
            }
        })();
        $generator->current();
        $GLOBALS['abandoned'] = $generator;
    },
    'a destructor that goes on' => static function () use ($redis): void {
        $GLOBALS['late'] = new class ($redis) {
            public function __construct(private readonly ResilientRedis $redis)
            {
            }

            public function __destruct()
            {
                $this->redis->set('late', 'of a destructor');
                exit('in a destructor');
            }
        };
    },
    'a client that has gone' => static function () use ($redis): void {
        // The front has closed its connection: PHP ends the program when it writes.
        for ($i = 0; $i < 1_000; $i++) {
            echo str_repeat('x', 1 << 14);
            flush();
            $redis->get('token');
        }
    },
];

if (isset($_GET['list'])) {
    exit(json_encode(['states' => array_keys($states), 'endings' => array_keys($endings)]));
}
try {
    $states[$_GET['state']]();
} catch (ResilientRedis\Exception | Error) {
    // What cannot be done as an ordinary command is refused; the ending comes in any case.
}
$endings[$_GET['ending']]();
