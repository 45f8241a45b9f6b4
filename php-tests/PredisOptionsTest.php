<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ConfigurationException;
use ResilientRedis\ConnectionException;
use ResilientRedis\Pipeline;
use ResilientRedis\Response\Error;
use ResilientRedis\Response\ErrorInterface;
use ResilientRedis\ServerException;
use ResilientRedis\Transaction;
use Tests\Support\Ports;
use Tests\Support\RedisTestCase;
use Tests\Support\ScriptedServer;

/** Errors as values, as programs written for Predis ask for them. */
final class PredisOptionsTest extends RedisTestCase
{
    /** @return iterable<string, array{int}> */
    public static function protocols(): iterable
    {
        yield 'RESP2' => [2];
        yield 'RESP3' => [3];
    }

    private static function quiet(int $protocol = 2): ResilientRedis
    {
        $redis = new ResilientRedis(self::shared()->endpoint(), ['exceptions' => false, 'protocol' => $protocol]);
        $redis->flushall();
        $redis->set('text', 'x');

        return $redis;
    }

    private static function assertIsError(string $type, mixed $reply): void
    {
        self::assertInstanceOf(Error::class, $reply, get_debug_type($reply));
        self::assertInstanceOf(ErrorInterface::class, $reply);
        self::assertSame($type, $reply->getErrorType());
        self::assertStringStartsWith("$type ", $reply->getMessage());
        self::assertSame($reply->getMessage(), (string) $reply);
    }

    /** @dataProvider protocols */
    public function test_error_replies_are_returned_without_exceptions(int $protocol): void
    {
        $redis = self::quiet($protocol);
        self::assertIsError('WRONGTYPE', $redis->lpush('text', 'y'));
        self::assertIsError('WRONGTYPE', $redis->zrange('text', 0, -1, ['withscores' => true]));
        self::assertIsError('ERR', $redis->noSuchCommand('a'));
        self::assertStringStartsWith('ERR ', $redis->executeRaw(['NOSUCHCOMMAND']), 'which gives the text in any case');
        self::assertIsError('NOSCRIPT', $redis->evalsha(str_repeat('f', 40), 0));
        self::assertIsError('ERR', $redis->config('SET', 'no-such-parameter', '1'));
        self::assertSame('x', $redis->get('text'), 'the connection goes on');
    }

    /** @dataProvider protocols */
    public function test_pipelines_and_transactions_take_it_over_from_the_client(int $protocol): void
    {
        $redis = self::quiet($protocol);
        $commands = static fn (Pipeline|Transaction $queue) => $queue->set('text', 'z')->lpush('text', 'y')->get('text');
        foreach ([$redis->pipeline($commands), $redis->pipeline(['atomic' => true], $commands), $redis->transaction($commands)] as $replies) {
            self::assertSame(['OK', 'z'], [$replies[0], $replies[2]]);
            self::assertIsError('WRONGTYPE', $replies[1]);
        }
        self::thrown(ServerException::class, static fn () => $redis->pipeline(['exceptions' => true], $commands));
        $read = null;
        $redis->transaction(['cas' => true, 'watch' => 'text'], static function (Transaction $transaction) use (&$read): void {
            $read = $transaction->llen('text');
            $transaction->multi();
            $transaction->set('text', 'q');
        });
        self::assertIsError('WRONGTYPE', $read);
        self::assertSame('q', $redis->get('text'));
    }

    public function test_with_options_turns_exceptions_off_and_on_again(): void
    {
        $redis = self::client();
        $redis->set('text', 'x');
        $quiet = $redis->withOptions(['exceptions' => false]);
        self::assertIsError('WRONGTYPE', $quiet->lpush('text', 'y'));
        self::thrown(ServerException::class, static fn () => $redis->lpush('text', 'y'));
        self::thrown(ServerException::class, static fn () => $quiet->withOptions(['exceptions' => 'true'])->lpush('text', 'y'));
    }

    public function test_what_is_no_reply_is_thrown_all_the_same(): void
    {
        $redis = new ResilientRedis('tcp://127.0.0.1:' . Ports::free(), ['exceptions' => false, 'command_timeout' => 0.2]);
        self::thrown(ConnectionException::class, static fn () => $redis->get('k'));
        self::thrown(ResilientRedis\ClientException::class, static fn () => self::quiet()->set('k', [[]]));
        self::thrown(ConfigurationException::class, static fn () => new ResilientRedis(null, ['exceptions' => 'maybe']));
        $error = self::thrown(ServerException::class, static fn () => iterator_to_array(new ResilientRedis\Iterator\SetKey(self::quiet(), 'text')));
        self::assertSame('WRONGTYPE', $error->getErrorType(), 'an iterator has no other way to tell');
        $watched = self::quiet();
        $watched->acl('SETUSER', 'default', '-watch');
        try {
            self::thrown(ServerException::class, static fn () => $watched->transaction(['watch' => 'k'])->set('k', 'v')->execute());
            self::assertNull($watched->get('k'), 'nothing is applied without its watch');
        } finally {
            $watched->acl('SETUSER', 'default', '+watch');
        }
    }

    public function test_the_exception_gives_the_error_as_a_value(): void
    {
        $redis = self::client();
        $redis->set('text', 'x');
        $exception = self::thrown(ServerException::class, static fn () => $redis->lpush('text', 'y'));
        self::assertInstanceOf(ErrorInterface::class, $exception);
        self::assertIsError('WRONGTYPE', $exception->toErrorResponse());
        self::assertSame($exception->getMessage(), (string) $exception->toErrorResponse());
    }

    public function test_hints_name_what_is_meant(): void
    {
        $exception = self::thrown(ConfigurationException::class, static fn () => new ResilientRedis(null, ['retry' => ['max' => 3]]));
        self::assertStringContainsString('did you mean `max_attempts`?', $exception->getMessage());
        $exception = self::thrown(ConfigurationException::class, static fn () => new ResilientRedis('http://127.0.0.1'));
        self::assertStringNotContainsString('TLS', $exception->getMessage());
    }

    /** Objects that hold what Predis' own hold, of classes that Predis does not know. */
    private static function parameters(array $parameters): object
    {
        return new class ($parameters) {
            public function __construct(protected array $parameters)
            {
            }

            public function __get(string $name): mixed
            {
                throw new \LogicException("no code of the object's runs: $name");
            }

            public function toArray(): array
            {
                throw new \LogicException('no code of the object\'s runs');
            }
        };
    }

    private static function options(array $input, array $evaluated = []): object
    {
        return new class ($input, $evaluated) {
            public function __construct(protected array $input, protected array $options)
            {
            }

            public function defined(string $name): bool
            {
                return isset($this->input[$name]);
            }
        };
    }

    private static function retry(int $retries, object $strategy): object
    {
        return new class ($strategy, $retries) {
            public function __construct(protected object $backoffStrategy, protected int $retries)
            {
            }

            public function getRetries(): int
            {
                return $this->retries;
            }

            public function callWithRetry(callable $do): mixed
            {
                return $do();
            }
        };
    }

    public function test_parameters_and_options_may_be_objects_of_predis(): void
    {
        $server = self::shared();
        parse_str((string) parse_url($server->endpoint(), PHP_URL_QUERY), $query);
        $place = ['host' => '127.0.0.1', 'port' => parse_url($server->endpoint(), PHP_URL_PORT), 'database' => '3'] + $query;
        $redis = new ResilientRedis(self::parameters($place), self::options(['exceptions' => false, 'parameters' => ['protocol' => 3]]));
        self::assertSame('OK', $redis->set('k', 'v'));
        self::assertIsError('WRONGTYPE', $redis->lpush('k', 'x'));
        self::assertSame('1', $redis->info('keyspace')['Keyspace']['db3']['keys']);
        $list = new ResilientRedis([self::parameters(['host' => 'a']), self::parameters(['host' => 'b', 'port' => '7'])]);
        self::assertSame(['a:6379', 'b:7'], $list->topology()['endpoints']);
        $wrong = self::parameters(['host' => 'a', 'prot' => 1]);
        $exception = self::thrown(ConfigurationException::class, static fn () => new ResilientRedis($wrong));
        self::assertStringContainsString('did you mean `port`', $exception->getMessage());
        foreach ([[self::options([], ['prefix' => new \stdClass()]), 'options'], [new \ArrayObject(['timeout' => 1]), 'options']] as [$options, $option]) {
            $exception = self::thrown(ConfigurationException::class, static fn () => new ResilientRedis(null, $options));
            self::assertStringContainsString("`$option`", $exception->getMessage());
        }
    }

    /** @return iterable<string, array{int, object, int}> */
    public static function retries(): iterable
    {
        $exponential = static fn (int $base, int $cap) => new class ($base, $cap) {
            public function __construct(protected int $base, protected int $cap)
            {
            }
        };
        yield 'exponential' => [2, $exponential(1000, 2000), 3];
        yield 'exponential without a cap' => [1, $exponential(1000, 0), 2];
        yield 'equal' => [3, new class {
            protected int $backoff = 1500;
        }, 4];
        yield 'no pause' => [2, new \stdClass(), 3];
        yield 'no retries' => [0, new \stdClass(), 1];
    }

    /** @dataProvider retries */
    public function test_retry_may_be_an_object_of_predis(int $retries, object $strategy, int $attempts): void
    {
        self::shared()->command('SET', 'k', 'v');
        $option = ['retry' => self::retry($retries, $strategy)];
        $forms = [
            'option' => static fn (string $place) => new ResilientRedis($place, $option),
            'parameter' => static fn (string $place) => new ResilientRedis($place, ['parameters' => $option]),
            'for one call' => static fn (string $place) => (new ResilientRedis($place))->withOptions($option),
        ];
        foreach ($forms as $form => $client) {
            $proxy = $this->stoppedAtTheEnd(ScriptedServer::before(self::shared(), 'GET', 'lose', 1000));
            $redis = $client($proxy->endpoint());
            $exception = self::thrown(ConnectionException::class, static fn () => $redis->get('k'));
            self::assertSame([$attempts, $attempts], [$exception->getAttempts(), $proxy->seen('GET')], "$form: {$exception->getMessage()}");
        }
        $proxy = $this->stoppedAtTheEnd(ScriptedServer::before(self::shared(), 'GET', 'lose', 6));
        $forever = new ResilientRedis($proxy->endpoint(), ['retry' => self::retry(-1, $strategy)]);
        self::assertSame('v', $forever->get('k'), 'less than none is as often as it takes');
        self::assertSame(7, $proxy->seen('GET'));
    }

    public function test_what_holds_for_a_client_can_be_read_back_but_nothing_that_is_secret(): void
    {
        $client = new \ResilientRedis(
            self::shared()->endpoint(),
            ['exceptions' => false, 'read_from' => 'prefer-replica', 'read_write_timeout' => 2.5, 'parameters' => ['password' => 'hunter2']],
        );
        $options = $client->getOptions();
        self::assertFalse($options->exceptions);
        self::assertSame(2.5, $options->read_write_timeout);
        self::assertSame('prefer-replica', $options->read_from);
        self::assertStringNotContainsString('hunter2', var_export($options, true));
        self::assertSame($client, $client->getConnection());
        self::assertFalse($client->getConnection()->isConnected());
    }
}
