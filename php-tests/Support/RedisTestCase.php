<?php

declare(strict_types=1);

namespace Tests\Support;

use PHPUnit\Framework\TestCase;
use ResilientRedis;

/**
 * A test with servers. One plain server is shared by the tests of a class and emptied before each; servers that a test
 * starts for itself end with it, whether it succeeds or fails. So do the connections of the extension.
 */
abstract class RedisTestCase extends TestCase
{
    private static ?RedisServer $shared = null;

    /** @var list<\Closure(): void> */
    private array $cleanups = [];

    public static function tearDownAfterClass(): void
    {
        self::$shared?->kill();
        self::$shared = null;
    }

    protected function setUp(): void
    {
        ResilientRedis::resetPools();
        if (self::$shared !== null) {
            self::$shared->command('FLUSHALL');
        }
    }

    protected function tearDown(): void
    {
        foreach (array_reverse($this->cleanups) as $cleanup) {
            $cleanup();
        }
        $this->cleanups = [];
        // Clients in a cycle hold what they had pinned until PHP collects them, and the next test counts what is in use.
        gc_collect_cycles();
        ResilientRedis::resetPools();
    }

    protected static function shared(): RedisServer
    {
        return self::$shared ??= RedisServer::start();
    }

    /**
     * A client of the shared server.
     *
     * @param array<string, mixed> $options
     */
    protected static function client(array $options = []): ResilientRedis
    {
        return new ResilientRedis(self::shared()->endpoint(), $options);
    }

    /** @param array<string, string> $directives */
    protected function server(array $directives = []): RedisServer
    {
        $server = RedisServer::start($directives);
        $this->cleanups[] = $server->kill(...);

        return $server;
    }

    protected function replicaSet(int $replicas = 2): ReplicaSet
    {
        $set = ReplicaSet::start($replicas);
        $this->cleanups[] = $set->stop(...);

        return $set;
    }

    /** @template T of object @param T $thing with a method stop() @return T */
    protected function stoppedAtTheEnd(object $thing): object
    {
        $this->cleanups[] = $thing->stop(...);

        return $thing;
    }

    /**
     * What the callable throws. That it throws nothing is a failure, and so is another class.
     *
     * @template T of \Throwable
     * @param class-string<T> $class
     * @return T
     */
    protected static function thrown(string $class, callable $action): \Throwable
    {
        try {
            $value = $action();
        } catch (\Throwable $exception) {
            self::assertInstanceOf($class, $exception, sprintf('it threw %s: %s', $exception::class, $exception->getMessage()));

            return $exception;
        }
        self::fail("$class was expected; nothing was thrown, the result is " . self::seen($value));
    }

    /** Whether a test that needs root can run. In CI it must; elsewhere it says that it did not. */
    protected function canBeRoot(bool $can, string $what): bool
    {
        if (!$can) {
            self::assertFalse(getenv('CI'), "$what, and CI has to see that");
            fwrite(STDERR, "\nnot run: {$this->toString()}: $what\n");
        }

        return $can;
    }

    /** Any value on one line, shortened. */
    protected static function seen(mixed $value): string
    {
        $text = is_string($value) || !is_scalar($value) && $value !== null
            ? (string) json_encode($value, JSON_UNESCAPED_SLASHES | JSON_UNESCAPED_UNICODE | JSON_INVALID_UTF8_SUBSTITUTE | JSON_PARTIAL_OUTPUT_ON_ERROR)
            : var_export($value, true);

        return strlen($text) > 300 ? substr($text, 0, 300) . '...' : $text;
    }
}
