<?php

declare(strict_types=1);

namespace Tests;

use ReflectionClass;
use ResilientRedis;
use ResilientRedis\AbortedMultiExecException;
use ResilientRedis\ClientException;
use ResilientRedis\ConfigurationException;
use ResilientRedis\CircuitOpenException;
use ResilientRedis\ConnectionException;
use ResilientRedis\Exception as ClientFailure;
use ResilientRedis\LostReplyException;
use ResilientRedis\NotEnoughReplicasException;
use ResilientRedis\NotSupportedException;
use ResilientRedis\OutcomeUnknown;
use ResilientRedis\ProtocolException;
use ResilientRedis\ReplyTimeoutException;
use ResilientRedis\ServerException;
use ResilientRedis\TimeoutException;
use Tests\Support\Extension;
use Tests\Support\Process;
use Tests\Support\RedisTestCase;

final class ExtensionTest extends RedisTestCase
{
    public function test_php_lists_the_extension(): void
    {
        self::assertTrue(extension_loaded('resilient_redis'));
        $listed = Process::run(self::phpWith('-m'));
        self::assertContains('resilient_redis', explode("\n", $listed->output()), $listed->output() . $listed->errors());
        self::assertSame('', $listed->errors(), 'loading the extension says something');
    }

    public function test_its_information_shows_the_version_the_ini_values_and_the_pools(): void
    {
        $shown = Process::run(self::phpWith('-d', 'resilient_redis.command_timeout=2.5', '--ri', 'resilient_redis'))->output();
        self::assertMatchesRegularExpression('/version\s*=>\s*' . preg_quote((string) phpversion('resilient_redis')) . '\s/i', $shown, $shown);
        self::assertMatchesRegularExpression('/resilient_redis\.command_timeout => 2\.5 => 2\.5/', $shown, $shown);
        self::assertMatchesRegularExpression('/resilient_redis\.retry => last-wins => last-wins/', $shown, $shown);
        self::assertMatchesRegularExpression('/pool/i', $shown, $shown);
    }

    public function test_the_information_of_a_process_with_a_connection_names_its_node(): void
    {
        $redis = self::client();
        $redis->ping();
        ob_start();
        (new \ReflectionExtension('resilient_redis'))->info();
        $shown = (string) ob_get_clean();
        self::assertStringContainsString(self::shared()->address(), $shown, $shown);
    }

    public function test_a_password_is_in_no_information(): void
    {
        $server = $this->server(['requirepass' => 'hunter2']);
        $redis = new ResilientRedis($server->endpoint(), ['password' => 'hunter2']);
        $redis->ping();
        ob_start();
        (new \ReflectionExtension('resilient_redis'))->info();
        var_dump($redis);
        print_r($redis->stats());
        print_r($redis->topology());
        $shown = (string) ob_get_clean();
        self::assertStringNotContainsString('hunter2', $shown, $shown);
    }

    /** @dataProvider hierarchy */
    public function test_exceptions_stand_where_the_design_puts_them(string $class, string $parent, bool $unknown): void
    {
        $reflection = new ReflectionClass($class);
        $actual = $reflection->getParentClass();
        self::assertSame($parent, $actual === false ? '' : $actual->getName(), "the parent of $class");
        self::assertSame($unknown, $reflection->implementsInterface(OutcomeUnknown::class), "$class implements OutcomeUnknown");
    }

    /** @return iterable<string, array{string, string, bool}> */
    public static function hierarchy(): iterable
    {
        yield 'Exception' => [ClientFailure::class, \RuntimeException::class, false];
        yield 'ConnectionException' => [ConnectionException::class, ClientFailure::class, false];
        yield 'LostReplyException' => [LostReplyException::class, ConnectionException::class, true];
        yield 'NotEnoughReplicasException' => [NotEnoughReplicasException::class, ConnectionException::class, true];
        yield 'CircuitOpenException' => [CircuitOpenException::class, ConnectionException::class, false];
        yield 'TimeoutException' => [TimeoutException::class, ConnectionException::class, false];
        yield 'ReplyTimeoutException' => [ReplyTimeoutException::class, TimeoutException::class, true];
        yield 'ServerException' => [ServerException::class, ClientFailure::class, false];
        yield 'ClientException' => [ClientException::class, ClientFailure::class, false];
        yield 'NotSupportedException' => [NotSupportedException::class, ClientException::class, false];
        yield 'AbortedMultiExecException' => [AbortedMultiExecException::class, ClientException::class, false];
        yield 'ProtocolException' => [ProtocolException::class, ClientFailure::class, false];
        yield 'ConfigurationException' => [ConfigurationException::class, \InvalidArgumentException::class, false];
    }

    public function test_the_common_base_is_abstract_and_answers_where_and_how_long(): void
    {
        $base = new ReflectionClass(ClientFailure::class);
        self::assertTrue($base->isAbstract());
        foreach (['getNode', 'getCommand', 'getAttempts', 'getElapsed', 'getPhase'] as $method) {
            self::assertTrue($base->hasMethod($method), $method);
        }
        self::assertTrue(method_exists(TimeoutException::class, 'getLimit'));
        self::assertTrue(method_exists(ServerException::class, 'getErrorType'));
        self::assertTrue((new ReflectionClass(OutcomeUnknown::class))->isInterface());
        self::assertTrue(is_a(OutcomeUnknown::class, \Throwable::class, true));
    }

    public function test_an_exception_knows_the_line_that_called_the_client(): void
    {
        $redis = self::client();
        $redis->set('text', 'x');
        $line = __LINE__ + 1;
        $exception = self::thrown(ServerException::class, static fn () => $redis->lpush('text', 'y'));
        self::assertSame([__FILE__, $line], [$exception->getFile(), $exception->getLine()]);
        self::assertNotEmpty($exception->getTrace());
        self::assertSame('LPUSH', $exception->getCommand());
        self::assertSame(self::shared()->address(), $exception->getNode());
    }

    public function test_a_client_cannot_be_cloned(): void
    {
        $redis = self::client();
        $exception = self::thrown(\Throwable::class, static fn () => clone $redis);
        self::assertMatchesRegularExpression('/clone/i', $exception->getMessage());
        self::assertSame('PONG', $redis->ping());
    }

    public function test_a_client_cannot_be_serialised_or_unserialised(): void
    {
        $redis = self::client();
        $exception = self::thrown(\Throwable::class, static fn () => serialize($redis));
        self::assertMatchesRegularExpression('/seriali[sz]/i', $exception->getMessage());
        self::thrown(\Throwable::class, static fn () => unserialize('O:14:"ResilientRedis":0:{}') ?: throw new \Exception('refused'));
        self::assertSame('PONG', $redis->ping());
    }

    public function test_a_subclass_can_add_methods(): void
    {
        $redis = new class (self::shared()->endpoint()) extends ResilientRedis {
            public function twice(string $key): int
            {
                $this->incr($key);

                return $this->incr($key);
            }
        };
        self::assertSame(2, $redis->twice('n'));
    }

    public function test_a_subclass_that_forgets_the_parent_constructor_is_told_so(): void
    {
        $redis = new class () extends ResilientRedis {
            public function __construct()
            {
            }
        };
        $exception = self::thrown(\Throwable::class, static fn () => $redis->ping());
        self::assertStringContainsString('__construct', $exception->getMessage());
    }

    public function test_calling_the_constructor_again_is_refused_and_changes_nothing(): void
    {
        $redis = self::client();
        $redis->set('k', 'v');
        $exception = self::thrown(\Throwable::class, static fn () => $redis->__construct('tcp://127.0.0.1:1'));
        self::assertNotSame('', $exception->getMessage());
        self::assertSame('v', $redis->get('k'));
    }

    /** @return list<string> */
    private static function phpWith(string ...$arguments): array
    {
        return [PHP_BINARY, '-n', '-d', 'extension=' . Extension::path(), ...array_values($arguments)];
    }
}
