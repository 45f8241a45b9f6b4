<?php

declare(strict_types=1);

/*
 * fork-storm.php ENDPOINT FORKS COMMANDS: forks again and again, in every state that a client can be in, and goes on at
 * once on both sides. Each side asks COMMANDS questions per fork whose answers only it can expect.
 */

[, $endpoint, $forks, $commands] = $argv;
$redis = new ResilientRedis($endpoint);
$redis->set('shared', 'value');

/** Asks, and counts what was right and wrong. */
function go_on(ResilientRedis $redis, string $me, int $commands): array
{
    $right = $wrong = 0;
    $check = static function (bool $fine) use (&$right, &$wrong): void {
        $fine ? $right++ : $wrong++;
    };
    for ($i = 0; $i < $commands / 4; $i++) {
        $check($redis->set("key:$me", "$me $i") === 'OK');
        $check($redis->get("key:$me") === "$me $i");
        $check($redis->echo("$me $i") === "$me $i");
        $check($redis->pipeline(static function ($pipeline) use ($me, $i): void {
            $pipeline->get("key:$me")->echo("p $me $i");
        }) === ["$me $i", "p $me $i"]);
    }

    return [$right, $wrong];
}

/** The child of the fork goes on and ends; the parent goes on and returns the child's id. */
$fork = static function (string $state, callable $ofParent, callable $ofChild) use (&$totals, $commands): void {
    static $number = 0;
    $number++;
    $child = pcntl_fork();
    if ($child === 0) {
        try {
            $redis = $ofChild();
            [$right, $wrong] = go_on($redis, "child $number", (int) $commands);
            $redis->hincrby('children', 'right', $right);
            $redis->hincrby('children', 'wrong', $wrong);
        } catch (Throwable $thrown) {
            fwrite(STDERR, "child $number in $state: " . get_class($thrown) . ': ' . $thrown->getMessage() . "\n");
            exit(1);
        }
        exit(0);
    }
    [$right, $wrong] = go_on($ofParent(), "parent $number", (int) $commands);
    $totals['right'] = ($totals['right'] ?? 0) + $right;
    $totals['wrong'] = ($totals['wrong'] ?? 0) + $wrong;
    pcntl_waitpid($child, $status);
    if ($status !== 0) {
        $totals['crashed'] = ($totals['crashed'] ?? 0) + 1;
    }
};

$same = static fn (): ResilientRedis => $redis;
$other = static fn (): ResilientRedis => new ResilientRedis($endpoint);
$states = [
    'idle' => static fn () => $fork('idle', $same, $same),
    'never used' => static function () use ($fork, $endpoint): void {
        $fresh = new ResilientRedis($endpoint);
        $fork('never used', static fn () => $fresh, static fn () => $fresh);
    },
    'the middle of a pipeline' => static function () use ($redis, $fork, $other, &$totals): void {
        $replies = $redis->pipeline(static function ($pipeline) use ($fork, $other): void {
            $pipeline->set('in:pipeline', 'first');
            $pipeline->flushPipeline();
            $pipeline->get('in:pipeline');
            $fork('the middle of a pipeline', $other, $other);
            $pipeline->get('shared');
        });
        $replies === ['OK', 'first', 'value'] ? $totals['right']++ : $totals['wrong']++;
    },
    'MULTI' => static function () use ($redis, $fork, $other, &$totals): void {
        $redis->multi();
        $redis->set('in:multi', 'queued');
        $fork('MULTI', $other, $other);
        $redis->get('in:multi');
        $redis->exec() === ['OK', 'queued'] ? $totals['right']++ : $totals['wrong']++;
    },
    'WATCH' => static function () use ($redis, $fork, $other, &$totals): void {
        $done = $redis->transaction(['watch' => 'watched', 'cas' => true], static function ($transaction) use ($fork, $other): void {
            $transaction->get('watched');
            $fork('WATCH', $other, $other);
            $transaction->multi();
            $transaction->set('watched', 'seen');
        });
        $done === ['OK'] ? $totals['right']++ : $totals['wrong']++;
    },
    'a child that ends the transaction of its parent' => static function () use ($redis, $fork, $other, &$totals): void {
        $redis->multi();
        $redis->set('in:multi', 'queued');
        $fork('a child that ends the transaction', $other, static function () use ($redis): ResilientRedis {
            try {
                $redis->exec();
                fwrite(STDERR, "a child has executed its parent's transaction\n");
                exit(1);
            } catch (ResilientRedis\Exception) {
                // The connection was the parent's.
            }

            return $redis;
        });
        $redis->exec() === ['OK'] ? $totals['right']++ : $totals['wrong']++;
    },
    'another database' => static function () use ($endpoint, $fork): void {
        $selected = new ResilientRedis($endpoint);
        $selected->select(3);
        $fork('another database', static fn () => $selected, static fn () => new ResilientRedis($endpoint));
    },
    'a pipeline that is not executed yet' => static function () use ($redis, $fork, $same, &$totals): void {
        $pipeline = $redis->pipeline()->set('in:pipeline', 'collected')->get('in:pipeline');
        $fork('a pipeline that is not executed yet', $same, static function () use ($redis, $pipeline): ResilientRedis {
            $pipeline->flushPipeline(false);
            if ($pipeline->ping()->execute() !== ['PONG']) {
                exit(1);
            }

            return $redis;
        });
        $pipeline->execute() === ['OK', 'collected'] ? $totals['right']++ : $totals['wrong']++;
    },
    'a loop over messages' => static function () use ($redis, $fork, $same, &$totals): void {
        $loop = $redis->pubSubLoop(['subscribe' => 'channel']);
        $loop->current();
        $fork('a loop over messages', $same, static function () use ($redis): ResilientRedis {
            $redis->publish('channel', 'of the child');

            return $redis;
        });
        $redis->publish('channel', 'after the child');
        foreach (['of the child', 'after the child'] as $payload) {
            $loop->current()->payload === $payload ? $totals['right']++ : $totals['wrong']++;
        }
        $loop->stop(true);
    },
    'a child that goes on with the loop of its parent' => static function () use ($redis, $fork, $same, &$totals): void {
        $loop = $redis->pubSubLoop(['subscribe' => 'channel', 'psubscribe' => 'chan*']);
        $loop->current();
        $loop->current();
        $fork('a child that goes on with the loop', $same, static function () use ($redis, $loop): ResilientRedis {
            // Its answer says that the child is subscribed, on a connection of its own.
            $loop->ping('subscribed');
            $seen = [$loop->current()->payload];
            $redis->publish('channel', 'of the child');
            array_push($seen, $loop->current()->payload, $loop->current()->kind);
            if ($seen !== ['subscribed', 'of the child', 'pmessage']) {
                fwrite(STDERR, 'a child got ' . json_encode($seen) . "\n");
                exit(1);
            }

            return $redis;
        });
        $redis->publish('channel', 'after the child');
        foreach (['of the child', 'of the child', 'after the child', 'after the child'] as $payload) {
            $loop->current()->payload === $payload ? $totals['right']++ : $totals['wrong']++;
        }
        $loop->stop(true);
    },
    'a loop over commands' => static function () use ($redis, $fork, $same, &$totals): void {
        $monitor = $redis->monitor();
        $redis->echo('before the fork');
        $monitor->current();
        $fork('a loop over commands', $same, static function () use ($redis, $monitor): ResilientRedis {
            $monitor->stop();
            $redis->echo('of the child');

            return $redis;
        });
        $redis->echo('after the child');
        foreach (['"of the child"', '"after the child"'] as $arguments) {
            while ($monitor->valid() && $monitor->current()->arguments !== $arguments) {
                // What others do.
            }
            $monitor->valid() ? $totals['right']++ : $totals['wrong']++;
        }
        $monitor->stop();
    },
    'a child of a child' => static function () use ($redis, $fork, $same): void {
        $fork('a child of a child', $same, static function () use ($redis): ResilientRedis {
            $redis->ping();
            $grandchild = pcntl_fork();
            if ($grandchild === 0) {
                $fine = $redis->echo('grandchild') === 'grandchild';
                exit($fine ? 0 : 1);
            }
            pcntl_waitpid($grandchild, $status);
            if ($status !== 0) {
                exit(1);
            }

            return $redis;
        });
    },
];

$totals = ['right' => 0, 'wrong' => 0, 'crashed' => 0];
$names = array_keys($states);
for ($i = 0; $i < $forks; $i++) {
    $states[$names[$i % count($names)]]();
}
$children = $redis->hgetall('children');
echo json_encode(['parent' => $totals, 'children' => array_map('intval', $children), 'forks' => (int) $forks]), "\n";
