<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ConfigurationException;
use ResilientRedis\OutcomeUnknown;
use ResilientRedis\TimeoutException;
use Tests\Support\RedisTestCase;
use Tests\Support\ReplicaSet;
use Tests\Support\ScriptedServer;
use Tests\Support\Wait;

/** `withOptions()`: a cheap copy of a client with another policy for one call site. */
final class CallSiteTest extends RedisTestCase
{
    public function test_a_copy_uses_the_same_connections(): void
    {
        $redis = self::client();
        $redis->set('k', 'v');
        $before = self::shared()->counters();
        for ($i = 0; $i < 100; $i++) {
            self::assertSame('v', $redis->withOptions(['command_timeout' => 0.5])->get('k'));
        }
        $since = self::shared()->counters()->since($before);
        self::assertSame([0, 100], [$since->connections, $since->commands], 'connections and commands');
        self::assertSame($redis->topology(), $redis->withOptions([])->topology());
    }

    public function test_a_copy_has_its_own_deadline_and_the_original_keeps_its_own(): void
    {
        $server = $this->server();
        $redis = new ResilientRedis($server->endpoint(), ['command_timeout' => 1.2]);
        $redis->ping();
        $server->freeze();
        foreach ([[$redis->withOptions(['command_timeout' => 0.3]), 0.3], [$redis, 1.2]] as [$client, $limit]) {
            $start = Wait::now();
            $exception = self::thrown(TimeoutException::class, static fn () => $client->get('k'));
            self::assertSame('command_timeout', $exception->getLimit());
            self::assertEqualsWithDelta($limit, Wait::now() - $start, 0.25, 'seconds');
        }
        $server->thaw();
        self::assertSame('PONG', $redis->ping());
    }

    public function test_a_copy_may_send_again_what_the_original_must_not(): void
    {
        foreach ([true, false] as $allowed) {
            self::shared()->command('DEL', 'n');
            $proxy = $this->stoppedAtTheEnd(ScriptedServer::before(self::shared(), 'INCR', 'lose'));
            $redis = new ResilientRedis($proxy->endpoint());
            $redis->ping();
            if ($allowed) {
                self::assertSame(2, $redis->withOptions(['retry' => ['ceiling' => 'accumulating']])->incr('n'), 'it counts twice: the caller allowed it');
            } else {
                self::thrown(OutcomeUnknown::class, static fn () => $redis->incr('n'));
            }
        }
    }

    public function test_a_copy_made_in_a_transaction_stands_outside_of_it(): void
    {
        $redis = self::client();
        $redis->multi();
        $redis->incr('n');
        $copy = $redis->withOptions(['command_timeout' => 2]);
        self::assertNull($copy->get('n'), 'it is not queued, and nothing is applied yet');
        self::assertSame('OK', $copy->set('other', 'x'));
        self::assertSame([1], $redis->exec());
        self::assertSame('1', $copy->get('n'));
    }

    public function test_a_copy_has_the_database_that_the_original_has_at_that_moment(): void
    {
        $redis = self::client();
        $redis->select(3);
        $copy = $redis->withOptions(['command_timeout' => 2]);
        $copy->set('where', 'three');
        $redis->select(0);
        self::assertNull($redis->get('where'));
        self::assertSame('three', $copy->get('where'));
        $copy->select(4);
        self::assertNull($redis->get('where'), 'what a copy selects stays with it');
        self::assertNull($copy->get('where'));
    }

    public function test_a_copy_tells_the_same_listener(): void
    {
        $set = $this->stoppedAtTheEnd(ReplicaSet::start(1));
        $events = [];
        $redis = new ResilientRedis($set->endpoints(), ['on_event' => static function (string $event) use (&$events): void {
            $events[] = $event;
        }]);
        $redis->ping();
        $set->promote($set->replica());
        self::assertSame(1, $redis->withOptions(['command_timeout' => 3])->incr('n'));
        self::assertSame(['failover.started', 'failover.completed'], $events);
        self::assertSame(2, $redis->incr('n'), 'the original knows the new primary');
        self::assertCount(2, $events);
    }

    public function test_a_copy_is_of_the_same_class_with_the_same_properties_and_no_constructor_runs(): void
    {
        $redis = new CountedRedis(self::shared()->endpoint(), 'carts');
        $redis->note = ['a' => 1];
        $copy = $redis->withOptions(['command_timeout' => 2]);
        self::assertInstanceOf(CountedRedis::class, $copy);
        self::assertNotSame($redis, $copy);
        self::assertSame([1, 'carts', ['a' => 1]], [CountedRedis::$constructed, $copy->prefix, $copy->note]);
        self::assertSame('OK', $copy->put('k', 'v'));
        self::assertSame('v', $redis->get('carts:k'));
        $copy->note['a'] = 2;
        self::assertSame(1, $redis->note['a']);
        unset($redis);
        self::assertSame('OK', $copy->put('k', 'w'), 'the copy lives on its own');
    }

    public function test_a_copy_can_be_batched(): void
    {
        $redis = self::client();
        $replies = $redis->withOptions(['command_timeout' => 1])->pipeline(static function ($pipe): void {
            $pipe->set('k', 'v');
            $pipe->get('k');
        });
        self::assertSame(['OK', 'v'], $replies);
    }

    /**
     * @dataProvider refused
     * @param array<string, mixed> $options
     */
    public function test_what_belongs_to_the_deployment_is_refused(array $options, string $option, string $accepted): void
    {
        $redis = self::client();
        $exception = self::thrown(ConfigurationException::class, static fn () => $redis->withOptions($options));
        self::assertStringContainsString("`$option`", $exception->getMessage());
        self::assertStringContainsString($accepted, $exception->getMessage());
        self::assertSame('PONG', $redis->ping());
    }

    /** @return iterable<string, array{array<string, mixed>, string, string}> */
    public static function refused(): iterable
    {
        yield 'another place' => [['parameters' => ['host' => 'elsewhere']], 'parameters', 'make a client of its own'];
        yield 'another user' => [['username' => 'somebody'], 'username', 'make a client of its own'];
        yield 'another database' => [['database' => 3], 'database', 'make a client of its own'];
        yield 'another protocol' => [['protocol' => 3], 'protocol', 'make a client of its own'];
        yield 'another pool' => [['max_connections' => 3], 'max_connections', 'make a client of its own'];
        yield 'a listener' => [['on_event' => 'strlen'], 'on_event', 'onEvent()'];
        yield 'a misspelt name' => [['command_timout' => 3], 'command_timout', 'command_timeout'];
        yield 'a wrong value' => [['timeout' => -1], 'timeout', 'greater than 0'];
    }

    public function test_a_secret_is_never_shown(): void
    {
        $redis = self::client();
        // Production settings keep arguments out of traces.
        $ignored = ini_set('zend.exception_ignore_args', '0');
        try {
            $exception = self::thrown(ConfigurationException::class, static fn () => $redis->withOptions(['password' => 'hunter2']));
        } finally {
            ini_set('zend.exception_ignore_args', (string) $ignored);
        }
        self::assertStringNotContainsString('hunter2', (string) $exception);
        [$called, $caller] = $exception->getTrace();
        self::assertSame(['withOptions', 1], [$called['function'], count($called['args'])]);
        self::assertStringNotContainsString('hunter2', print_r([$called, $caller], true));
    }

    public function test_a_client_that_was_not_constructed_cannot_be_copied(): void
    {
        $redis = new class () extends ResilientRedis {
            public function __construct()
            {
            }
        };
        $exception = self::thrown(\Throwable::class, static fn () => $redis->withOptions([]));
        self::assertStringContainsString('__construct', $exception->getMessage());
    }
}

/** A client of a program's own. */
final class CountedRedis extends ResilientRedis
{
    public static int $constructed = 0;

    /** @var array<string, int> */
    public array $note = [];

    public function __construct(string $endpoint, public readonly string $prefix)
    {
        parent::__construct($endpoint);
        self::$constructed++;
    }

    public function put(string $key, string $value): string
    {
        return (string) $this->set("$this->prefix:$key", $value);
    }
}
