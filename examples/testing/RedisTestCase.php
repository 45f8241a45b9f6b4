<?php

declare(strict_types=1);

namespace Shop\Tests;

use PHPUnit\Framework\TestCase;
use ResilientRedis;

/** What the tests of an application share that talks to Redis: each begins with an empty database and without connections. */
abstract class RedisTestCase extends TestCase
{
    protected ResilientRedis $redis;

    protected function setUp(): void
    {
        // Each test is a unit: whatever it does to a client that lives on, such as SELECT or MULTI, ends with it.
        ResilientRedis::beginUnit();
        // A test that runs into an outage should say so soon.
        $this->redis = new ResilientRedis(getenv('REDIS_URL') ?: 'tcp://127.0.0.1:6379', ['command_timeout' => 1.0]);
        $this->redis->flushdb();
    }

    protected function tearDown(): void
    {
        unset($this->redis);
        ResilientRedis::endUnit();
        // As if PHP had just started: no connection, and nothing known of who is primary.
        ResilientRedis::resetPools();
    }

    /**
     * What a piece of code costs: the commands that it sends, and the connections that it opens for them.
     *
     * @return array{commands: int, opened: int}
     */
    protected function cost(callable $code): array
    {
        $before = $this->redis->stats();
        $code();
        $after = $this->redis->stats();

        return [
            'commands' => $after['commands'] - $before['commands'],
            'opened' => $after['connections']['opened'] - $before['connections']['opened'],
        ];
    }
}
