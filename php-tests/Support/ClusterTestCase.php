<?php

declare(strict_types=1);

namespace Tests\Support;

use ResilientRedis;

/** A test with a Redis Cluster: the tests of a class share one, emptied before each, and those that break it start their own. */
abstract class ClusterTestCase extends RedisTestCase
{
    private static ?RedisCluster $shared = null;

    public static function tearDownAfterClass(): void
    {
        self::$shared?->stop();
        self::$shared = null;
        parent::tearDownAfterClass();
    }

    protected function setUp(): void
    {
        parent::setUp();
        foreach (self::$shared?->primaries() ?? [] as $primary) {
            $primary->command('FLUSHALL');
        }
    }

    /** @return iterable<string, array{int}> */
    public static function protocols(): iterable
    {
        yield 'RESP2' => [2];
        yield 'RESP3' => [3];
    }

    protected static function cluster(): RedisCluster
    {
        return self::$shared ??= RedisCluster::start();
    }

    /** @param array<string, string> $directives */
    protected function ownCluster(int $shards = 3, int $replicas = 1, array $directives = []): RedisCluster
    {
        return $this->stoppedAtTheEnd(RedisCluster::start($shards, $replicas, $directives));
    }

    /**
     * A client that is told one node only.
     *
     * @param array<string, mixed> $options
     */
    protected static function clientOf(RedisCluster $cluster, array $options = []): ResilientRedis
    {
        return new ResilientRedis($cluster->endpoint(), $options + ['command_timeout' => 5.0]);
    }

    /** @param array<string, mixed> $options */
    protected function load(RedisCluster $cluster, string $kind, array $tags, array $options = []): ClusterLoad
    {
        return $this->stoppedAtTheEnd(new ClusterLoad($cluster, $kind, $tags, $options));
    }

    /** @return list<string> words that in braces take keys to each of the primaries, in their order */
    protected static function tags(RedisCluster $cluster): array
    {
        return array_map($cluster->tagOf(...), $cluster->primaries());
    }

    /** A figure for those who read along; machines that are shared allow no narrow assertion of it. */
    protected function told(string $figure, float $milliseconds): void
    {
        fprintf(STDERR, "\n%s: %s: %.1f ms\n", static::class, $figure, $milliseconds);
    }
}
