<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ConfigurationException;
use Tests\Support\Ports;
use Tests\Support\RedisTestCase;

/** What is wrong is said when the client is made: which option, what was given, what is accepted; and nobody is called. */
final class ConfigurationTest extends RedisTestCase
{
    /** @var resource a port that somebody listens on and nobody may call */
    private $listener;

    private string $place;

    protected function setUp(): void
    {
        parent::setUp();
        $this->place = '127.0.0.1:' . Ports::free();
        $this->listener = stream_socket_server("tcp://$this->place") ?: self::fail("cannot listen on $this->place");
    }

    protected function tearDown(): void
    {
        fclose($this->listener);
        parent::tearDown();
    }

    /**
     * @dataProvider wrongOptions
     * @param string $option how the message names it
     * @param string $given what the message shows of the value
     */
    public function test_a_wrong_option_is_named_with_what_was_given_and_what_is_accepted(
        mixed $options,
        string $option,
        string $given,
        string $accepted,
    ): void {
        $exception = self::thrown(ConfigurationException::class, fn () => new ResilientRedis("tcp://$this->place", $options));
        foreach ([$option, $given, $accepted] as $part) {
            self::assertStringContainsStringIgnoringCase($part, $exception->getMessage());
        }
        $this->assertNobodyWasCalled();
    }

    /** @return iterable<string, array{mixed, string, string, string}> */
    public static function wrongOptions(): iterable
    {
        yield 'a word for a number' => [['timeout' => 'abc'], 'timeout', 'abc', 'number of seconds'];
        yield 'zero for a limit' => [['timeout' => 0], 'timeout', '0', 'greater than 0'];
        yield 'not a number' => [['timeout' => NAN], 'timeout', 'float', 'number of seconds'];
        yield 'an array for a number' => [['read_write_timeout' => []], 'read_write_timeout', 'array', 'number of seconds'];
        yield 'a negative deadline' => [['command_timeout' => -1], 'command_timeout', '-1', 'number of seconds'];
        yield 'a closure for a number' => [['suspect_after' => static fn (): int => 1], 'suspect_after', 'Closure', 'number of seconds'];
        yield 'a number for an array' => [['retry' => 7], 'retry', '7', 'ceiling'];
        yield 'an unknown ceiling' => [['retry' => ['ceiling' => 'all']], 'retry.ceiling', 'all', 'last-wins'];
        yield 'an unknown key of retry' => [['retry' => ['max_attempt' => 3]], 'retry.max_attempt', 'int', 'max_attempts'];
        yield 'no connections at all' => [['max_connections' => 0], 'max_connections', '0', 'from 1'];
        yield 'more replicas than anybody has' => [['min_replicas' => 101], 'min_replicas', '101', 'from 0 to 100'];
        yield 'a truth for a number of replicas' => [['min_replicas' => true], 'min_replicas', 'true', 'count, timeout'];
        yield 'no time for the replicas' => [['min_replicas' => ['timeout' => 0]], 'min_replicas.timeout', '0', 'greater than 0'];
        yield 'an unknown key of min_replicas' => [['min_replicas' => ['counts' => 1]], 'min_replicas.counts', 'int', 'count'];
        yield 'an unknown protocol' => [['protocol' => 4], 'protocol', '4', '2 or 3'];
        yield 'a negative database' => [['database' => -1], 'database', '-1', 'from 0'];
        yield 'a word of older days' => [['read_from' => 'slave'], 'read_from', 'slave', "'prefer-replica'"];
        yield 'a negative lag' => [['max_replica_lag' => -1], 'max_replica_lag', '-1', 'number of seconds'];
        yield 'a reply that is too small for any' => [['max_reply_size' => 1000], 'max_reply_size', '1000', 'at least 65536'];
        yield 'no size of a reply' => [['max_reply_size' => ''], 'max_reply_size', "''", 'at least 65536'];
        yield 'a depth that is too small for any' => [['max_depth' => 7], 'max_depth', '7', 'from 8 to'];
        yield 'a number for a name of a node' => [['allowed_nodes' => ['10.0.0']], 'allowed_nodes[0]', '10.0.0', 'an IP address'];
        yield 'an address that is none' => [['allowed_nodes' => ['h', '300.1.1.1']], 'allowed_nodes[1]', '300.1.1.1', 'an IP address'];
        yield 'a misspelt name' => [['read_form' => 'replica'], 'read_form', 'string', 'read_from'];
        yield 'a name of phpredis' => [['connect_timeout' => 1], 'connect_timeout', 'int', 'timeout'];
        yield 'a nested port' => [['parameters' => ['port' => 'x']], 'parameters.port', 'x', '65535'];
        yield 'a nested timeout' => [['connections' => ['tcp' => ['timeout' => 'soon']]], 'connections.tcp.timeout', 'soon', 'number of seconds'];
        yield 'a connection class' => [['connections' => ['tcp' => 'My\\Connection']], 'connections.tcp', 'My\\Connection', 'not supported'];
        yield 'a string for the options' => ['cluster', 'options', 'cluster', 'array'];
        yield 'a number for the options' => [5, 'options', '5', 'array'];
        yield 'a listener that cannot be called' => [['on_event' => 'no_such_function'], 'on_event', 'no_such_function', 'callable'];
    }

    /**
     * @dataProvider wrongParameters
     * @param callable(string): mixed $parameters from the place that nobody may call
     */
    public function test_wrong_parameters_are_named_with_what_was_given_and_what_is_accepted(
        callable $parameters,
        string $option,
        string $given,
        string $accepted,
    ): void {
        $exception = self::thrown(ConfigurationException::class, fn () => new ResilientRedis($parameters($this->place)));
        foreach ([$option, $given, $accepted] as $part) {
            self::assertStringContainsStringIgnoringCase($part, $exception->getMessage());
        }
        $this->assertNobodyWasCalled();
    }

    /** @return iterable<string, array{callable, string, string, string}> */
    public static function wrongParameters(): iterable
    {
        yield 'an unknown scheme' => [static fn (string $place) => "http://$place", 'scheme', 'http', 'tcp'];
        yield 'a port that is too large' => [static fn () => 'tcp://127.0.0.1:99999', 'port', '99999', '65535'];
        yield 'port 0' => [static fn () => 'tcp://127.0.0.1:0', 'port', '127.0.0.1:0', '65535'];
        yield 'a port that is a word' => [static fn () => ['port' => 'redis'], 'port', 'redis', '65535'];
        yield 'a host that is a list' => [static fn () => ['host' => ['a', 'b']], 'host', 'array', 'host'];
        yield 'a number' => [static fn () => 6379, 'parameters', '6379', 'URI'];
        yield 'a truth' => [static fn () => true, 'parameters', 'true', 'URI'];
        yield 'an object' => [static fn () => new \stdClass(), 'parameters', 'stdClass', 'URI'];
        yield 'a number in a list' => [static fn (string $place) => ["tcp://$place", 5], 'parameters[1]', '5', 'URI'];
        yield 'a wrong port in a list' => [static fn (string $place) => ["tcp://$place", 'b:99999'], 'parameters[1].port', 'b:99999', '65535'];
        yield 'nodes of different databases' => [
            static fn (string $place) => ["tcp://$place?database=1", 'tcp://127.0.0.1:6380?database=2'], 'parameters[1].database', 'another value', 'the same',
        ];
        yield 'an unknown parameter' => [static fn () => ['hots' => 'x'], 'hots', 'string', 'host'];
        yield 'a socket without a path' => [static fn () => ['scheme' => 'unix'], 'path', 'no path', 'socket file'];
    }

    public function test_a_secret_is_never_shown(): void
    {
        $attempts = [
            fn () => new ResilientRedis("tcp://$this->place", ['pasword' => 'hunter2']),
            fn () => new ResilientRedis("tcp://$this->place", ['password' => ['hunter2', 'and', 'more']]),
            fn () => new ResilientRedis("tcp://user:hunter2@$this->place/?timeout=abc"),
            fn () => new ResilientRedis("redis://user:hunter2/and:more@$this->place"),
        ];
        foreach ($attempts as $attempt) {
            $exception = self::thrown(ConfigurationException::class, $attempt);
            self::assertStringNotContainsString('hunter2', (string) $exception->getMessage());
        }
        $this->assertNobodyWasCalled();
    }

    public function test_making_a_client_calls_nobody(): void
    {
        new ResilientRedis("tcp://$this->place", ['timeout' => 0.1]);
        new ResilientRedis(["tcp://$this->place", 'tcp://127.0.0.1:1']);
        $this->assertNobodyWasCalled();
    }

    public function test_an_ini_value_that_is_wrong_is_named(): void
    {
        $before = ini_get('resilient_redis.command_timeout');
        self::assertNotFalse($before, 'the ini value exists');
        try {
            // Refused when it is set, or when it is used.
            if (@ini_set('resilient_redis.command_timeout', 'soon') !== false) {
                $exception = self::thrown(ConfigurationException::class, fn () => new ResilientRedis("tcp://$this->place"));
                self::assertStringContainsString('command_timeout', $exception->getMessage());
                self::assertStringContainsString('soon', $exception->getMessage());
            }
        } finally {
            ini_restore('resilient_redis.command_timeout');
        }
        self::assertSame($before, ini_get('resilient_redis.command_timeout'));
    }

    private function assertNobodyWasCalled(): void
    {
        $readable = [$this->listener];
        $writable = $except = null;
        self::assertSame(0, stream_select($readable, $writable, $except, 0), 'somebody connected');
    }
}
