<?php

declare(strict_types=1);

/*
 * units.php ENDPOINT UNITS SEED: one process and one client, unit after unit. Each unit leaves its connection in some
 * state and ends in some way; after it a unit writes a token and reads it back. Says what was wrong, and how many
 * connections there were at most.
 */

[, $endpoint, $units, $seed] = $argv;
mt_srand((int) $seed);
$redis = new ResilientRedis($endpoint);
$observer = new ResilientRedis($endpoint, ['prefix' => '']);
$redis->set('large', str_repeat('x', 1 << 18));
$redis->acl('SETUSER', 'hostile', 'on', '>secret', '~*', '&*', '+@all');

/** What a unit does with its connection. */
$states = (require __DIR__ . '/connection-states.php')($redis) + [
    'a command' => static fn () => $redis->set('token', 'of a hostile unit'),
    'SELECT' => static fn () => $redis->select(7) && $redis->set('token', 'of database 7'),
    'SELECT and WATCH' => static fn () => $redis->select(7) && $redis->watch('token'),
    'a loop over messages' => static function () use ($redis): object {
        $loop = $redis->pubSubLoop(['subscribe' => 'channel']);
        $loop->current();

        return $loop;
    },
    'a loop over commands' => static fn () => $redis->monitor(),
    'a pipeline' => static fn () => $redis->pipeline()->set('token', 'never sent'),
    'a transaction' => static fn () => $redis->transaction(['watch' => 'token', 'cas' => true])->set('token', 'sent at once'),
    'a transaction that collects' => static fn () => $redis->transaction()->set('token', 'never sent'),
    'an iterator' => static function () use ($redis): object {
        $iterator = new ResilientRedis\Iterator\Keyspace($redis);
        $iterator->current();

        return $iterator;
    },
    'a session' => static function () use ($redis): object {
        $handler = new ResilientRedis\SessionHandler($redis, ['prefix' => 'session:', 'locking' => true, 'lock_wait' => 0.2]);
        $handler->read('of-all');

        return $handler;
    },
    'another client' => static function () use ($endpoint): object {
        $other = new ResilientRedis($endpoint);
        $other->select(5);
        $other->watch('token');

        return $other;
    },
];

/** How it ends: what is returned stays in a variable for the units that follow. */
$endings = [
    'return' => static fn ($made) => null,
    'with what it made kept' => static fn ($made) => $made,
    'an exception' => static fn ($made) => throw new DomainException('of a unit'),
    'a pipeline that throws' => static fn ($made) => $redis->pipeline(static function ($pipeline): void {
        $pipeline->set('token', 'never sent');
        throw new DomainException('in the middle of a pipeline');
    }),
    'a transaction that throws' => static fn ($made) => $redis->transaction(
        ['watch' => 'token', 'cas' => true],
        static function ($transaction): void {
            $transaction->get('token');
            $transaction->multi();
            $transaction->set('token', 'never sent');
            throw new DomainException('in the middle of a transaction');
        },
    ),
    'a generator that is abandoned' => static function ($made) use ($redis): Generator {
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

        return $generator;
    },
    'a fiber that waits in a pipeline' => static function ($made) use ($redis): Fiber {
        $fiber = new Fiber(static fn () => $redis->pipeline(static function ($pipeline): void {
            $pipeline->set('token', 'never sent');
            Fiber::suspend();
            $pipeline->set('token', 'never sent');
        }));
        $fiber->start();

        return $fiber;
    },
    'a destructor that goes on' => static fn ($made) => new class ($redis) {
        public function __construct(private readonly ResilientRedis $redis)
        {
        }

        public function __destruct()
        {
            $this->redis->set('late', 'of a destructor');
        }
    },
];

$wrong = [];
$most = 0;
$closed = 0;
$queue = [];
for ($i = 0; $i < (int) $units; $i++) {
    if ($queue === []) {
        // Each state comes with each ending, if there are units enough.
        foreach (array_keys($states) as $state) {
            array_push($queue, ...array_map(static fn (string $ending): array => [$state, $ending], array_keys($endings)));
        }
        shuffle($queue);
    }
    [$state, $ending] = array_pop($queue);
    ResilientRedis::beginUnit();
    try {
        $made = null;
        try {
            $made = $states[$state]();
        } catch (ResilientRedis\Exception) {
            // What cannot be done as an ordinary command is refused; the ending comes in any case.
        }
        $left = $endings[$ending]($made);
    } catch (DomainException | ResilientRedis\Exception) {
        $left = null;
    } finally {
        ResilientRedis::endUnit();
    }
    $seen = count($observer->client('LIST'));
    $most = max($most, $seen);

    ResilientRedis::beginUnit();
    $token = bin2hex(random_bytes(8));
    $redis->set("token:$token", $token);
    $connection = [];
    foreach (explode(' ', trim((string) $redis->executeRaw(['CLIENT', 'INFO']))) as $pair) {
        [$name, $value] = explode('=', $pair, 2) + ['', ''];
        $connection[$name] = $value;
    }
    $looks = [
        $redis->get("token:$token") === $token,
        $redis->transaction(static fn ($transaction) => $transaction->set('token', $token)->ping()),
        $redis->ping(),
        array_intersect_key($connection, array_flip(['db', 'user', 'sub', 'psub', 'resp'])),
        in_array($connection['name'], ['', 'resilient_redis'], true),
        $connection['flags'],
        $redis->keys('*:lock'),
    ];
    $expected = [true, ['OK', 'PONG'], 'PONG', ['db' => '0', 'sub' => '0', 'psub' => '0', 'user' => 'default', 'resp' => '2'], true, 'N', []];
    if ($looks != $expected) {
        $wrong[] = [$state, $ending, $looks];
    }
    // What was kept is closed, and says so, or is as good as new.
    try {
        match (true) {
            $left instanceof ResilientRedis\Pipeline, $left instanceof ResilientRedis\Transaction => $left->set('token', 'late'),
            $left instanceof ResilientRedis\PubSub\Consumer, $left instanceof ResilientRedis\Monitor\Consumer,
            $left instanceof ResilientRedis\Iterator\Keyspace => $left->current(),
            $left instanceof Generator => $left->next(),
            $left instanceof Fiber => $left->resume(),
            default => throw new OutOfRangeException(),
        };
        $wrong[] = [$state, $ending, 'still open', get_class($left)];
    } catch (ResilientRedis\ClientException $thrown) {
        str_contains($thrown->getMessage(), 'endUnit()') ? $closed++ : $wrong[] = [$state, $ending, $thrown->getMessage()];
    } catch (OutOfRangeException) {
    }
    if ($left instanceof ResilientRedis && !$left->set("token:$token", 'of another') && $redis->get("token:$token") !== 'of another') {
        $wrong[] = [$state, $ending, 'another client is in another database'];
    }
    unset($left, $made);
    $seen = $redis->get('token');
    if ($seen !== $token) {
        $wrong[] = [$state, $ending, "the token was overwritten: $seen"];
    }
    ResilientRedis::endUnit();
}
echo json_encode(['wrong' => $wrong, 'connections' => $most, 'closed' => $closed, 'units' => $i]), "\n";
