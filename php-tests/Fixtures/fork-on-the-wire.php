<?php

declare(strict_types=1);

/*
 * fork-on-the-wire.php ENDPOINT STATE CHILD: gets into a state, says so, and forks when it is told to. The child does nothing but end,
 * or goes on with the very same objects. The parent does nothing until the child has ended, says so, and goes on when it is told to.
 * Prints what the child and the parent got.
 */

[, $endpoint, $state, $child] = $argv;
$redis = new ResilientRedis($endpoint);
$redis->set('key', 'value');
$refused = static function (callable $action): string {
    try {
        return 'not refused: ' . json_encode($action());
    } catch (ResilientRedis\Exception $thrown) {
        $told = str_contains($thrown->getMessage(), 'belongs to the process that this one was forked from');

        return get_class($thrown) . ($told ? '' : ': ' . $thrown->getMessage());
    }
};

/** For each state: how to get there, what the child does with it, what the parent does. */
[$enter, $ofChild, $ofParent] = [
    'idle' => [static fn () => $redis, static fn () => $redis->get('key'), static fn () => $redis->get('key')],
    'another database' => [
        static fn () => $redis->select(3),
        static fn () => $redis->set('key', 'of database 3'),
        static fn () => $redis->get('key'),
    ],
    'MULTI' => [
        static function () use ($redis): void {
            $redis->multi();
            $redis->set('key', 'queued');
        },
        static fn () => $refused(static fn () => $redis->exec()),
        static fn () => $redis->exec(),
    ],
    'WATCH' => [
        static fn () => $redis->watch('key'),
        static fn () => $refused(static fn () => $redis->get('key')),
        static fn () => [$redis->multi(), $redis->get('key'), $redis->exec()],
    ],
    'an open pipeline' => [
        static fn () => $redis->pipeline()->set('key', 'first')->flushPipeline()->append('key', '+'),
        static fn ($pipeline) => $pipeline->flushPipeline(false)->get('key')->execute(),
        static fn ($pipeline) => $pipeline->get('key')->execute(),
    ],
    'an open transaction' => [
        static fn () => $redis->transaction(['watch' => 'key', 'cas' => true])->multi()->set('key', 'seen'),
        static fn ($transaction) => $refused(static fn () => $transaction->execute()),
        static fn ($transaction) => $transaction->execute(),
    ],
    'a loop over messages' => [
        static function () use ($redis): object {
            $loop = $redis->pubSubLoop(['subscribe' => 'channel']);
            $loop->current();

            return $loop;
        },
        static function ($loop) use ($redis): array {
            $loop->ping('subscribed');
            $seen = [$loop->current()->payload];
            $redis->publish('channel', 'of the child');

            return [...$seen, $loop->current()->payload];
        },
        static function ($loop) use ($redis): array {
            $redis->publish('channel', 'after the child');
            $seen = [];
            do {
                $seen[] = $loop->current()->payload;
            } while (end($seen) !== 'after the child');

            return $seen;
        },
    ],
    'a loop over commands' => [
        static fn () => $redis->monitor(),
        static function ($monitor) use ($redis): bool {
            $monitor->stop();

            return $redis->echo('of the child') === 'of the child' && !$monitor->valid();
        },
        static function ($monitor) use ($redis): array {
            $redis->echo('after the child');
            $seen = [];
            do {
                $seen[] = $monitor->current();
            } while (end($seen)->arguments !== '"after the child"');

            return array_column(array_filter($seen, static fn (object $one): bool => $one->command === 'echo' || $one->command === 'ECHO'), 'arguments');
        },
    ],
][$state];

$made = $enter();
echo "ready\n";
fgets(STDIN);
$pid = pcntl_fork();
if ($pid === 0) {
    echo json_encode(['child' => $child === 'goes on' ? $ofChild($made) : null]), "\n";
    exit(0);
}
pcntl_waitpid($pid, $status);
echo json_encode(['status' => $status]), "\n";
fgets(STDIN);
echo json_encode(['parent' => $ofParent($made)]), "\n";
