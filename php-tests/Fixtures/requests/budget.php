<?php

declare(strict_types=1);

/* Spends what the request may spend, and writes once more when the script is over: see BudgetTest. */

/** A session in Redis, by a save handler written in PHP. */
final class RedisSession implements SessionHandlerInterface
{
    public function __construct(private readonly ResilientRedis $redis)
    {
    }

    public function open(string $path, string $name): bool
    {
        return true;
    }

    public function close(): bool
    {
        return true;
    }

    public function read(string $id): string
    {
        return (string) $this->redis->get("session:$id");
    }

    public function write(string $id, string $data): bool
    {
        return (string) $this->redis->set("session:$id", $data) === 'OK';
    }

    public function destroy(string $id): bool
    {
        return true;
    }

    public function gc(int $lifetime): int
    {
        return 0;
    }
}

final class WritesAtItsEnd
{
    public function __construct(private readonly ResilientRedis $redis)
    {
    }

    public function __destruct()
    {
        $this->redis->set('last', 'destructor');
    }
}

/** @return array{string, string, float, int} what it threw, which limit, after how long, and after how many attempts */
function failure(callable $action): array
{
    $start = hrtime(true);
    try {
        $action();
    } catch (ResilientRedis\TimeoutException $exception) {
        return [$exception::class, $exception->getLimit(), (hrtime(true) - $start) / 1e9, $exception->getAttempts()];
    }

    return ['nothing', '', (hrtime(true) - $start) / 1e9, 0];
}

$redis = new ResilientRedis($_GET['endpoint']);
$last = $_GET['last'];
if ($last === 'session' || $last === 'session, late') {
    session_set_save_handler(new RedisSession($redis), $last === 'session');
    session_id('fixed');
    session_start(['use_cookies' => 0, 'cache_limiter' => '', 'use_strict_mode' => 0]);
    $_SESSION['last'] = $last;
} elseif ($last === 'shutdown function') {
    register_shutdown_function(static fn () => $redis->set('last', 'shutdown function'));
} else {
    $kept = new WritesAtItsEnd($redis);
}
$redis->ping();
$other = new ResilientRedis($_GET['endpoint']);
echo json_encode(['spending' => failure(fn () => $redis->blpop('nothing', 30)), 'after' => failure(fn () => $other->get('k'))]);
