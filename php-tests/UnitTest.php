<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ClientException;
use ResilientRedis\SessionHandler;
use Tests\Support\Extension;
use Tests\Support\FpmMaster;
use Tests\Support\Process;
use Tests\Support\RedisTestCase;
use Tests\Support\Wait;

/** Units of work: nothing of one reaches the next, in one process and in one request of PHP's. */
final class UnitTest extends RedisTestCase
{
    public function test_nothing_of_hundreds_of_hostile_units_reaches_the_next_one(): void
    {
        $units = getenv('UNITS') ?: '400';
        $seed = getenv('SEED') ?: (string) random_int(1, 1_000_000);
        $redis = $this->server();
        $script = Extension::php(__DIR__ . '/Fixtures/units.php', self::withSessions(), $redis->endpoint(), $units, $seed);
        $process = Process::run($script, seconds: 300.0);
        self::assertSame('', $process->errors(), "SEED=$seed");
        $seen = json_decode($process->output(), true);
        self::assertSame([], $seen['wrong'], "SEED=$seed");
        self::assertSame((int) $units, $seen['units']);
        self::assertGreaterThan(0, $seen['closed'], "SEED=$seed: what was left over was looked at");
        // The client's, the observer's, and one for each other user or database that a unit went to.
        self::assertLessThanOrEqual(5, $seen['connections'], "SEED=$seed");
    }

    public function test_memory_and_open_files_stay_the_same_however_many_units_a_worker_has_run(): void
    {
        $commands = getenv('COMMANDS') ?: '100000';
        $script = Extension::php(__DIR__ . '/Fixtures/long-worker.php', [], self::shared()->endpoint(), '10000', $commands, 'units');
        $process = Process::run($script, seconds: 300.0);
        self::assertSame('', $process->errors());
        ['before' => $before, 'after' => $after] = json_decode($process->output(), true);
        self::assertLessThan(1024, $after['memory'] - $before['memory'], 'KiB more: ' . $process->output());
        self::assertSame($before['files'], $after['files'], $process->output());
        // The first look at it takes some itself, and in a debug build of PHP each block is larger.
        self::assertLessThan(PHP_DEBUG ? 2048 : 1024, $after['php'] - $before['php'], 'bytes of PHP: ' . $process->output());
    }

    public function test_a_client_begins_each_unit_in_its_configured_database_and_as_its_configured_user(): void
    {
        self::shared()->command('ACL', 'SETUSER', 'other', 'on', '>secret', '~*', '&*', '+@all');
        $redis = self::client(['parameters' => ['database' => 2]]);
        $copy = $redis->withOptions(['command_timeout' => 1.0]);
        self::unit(static function () use ($redis, $copy): void {
            $redis->select(3);
            $redis->auth('other', 'secret');
            self::assertSame('other', $redis->acl('WHOAMI'));
            $copy->select(4);
        });
        self::unit(static function () use ($redis, $copy): void {
            self::assertSame('default', $redis->acl('WHOAMI'));
            $redis->set('where', 'two');
            self::assertSame('two', $copy->get('where'));
        });
        self::shared()->command('SELECT', 2);
        self::assertSame('two', self::shared()->command('GET', 'where'));
        self::shared()->command('SELECT', 0);
    }

    public function test_what_stands_between_two_units_does_not_reach_the_second(): void
    {
        $redis = self::client();
        self::unit(static fn () => $redis->ping());
        $redis->select(3);
        $redis->watch('key');
        self::unit(static fn () => $redis->set('key', 'of database 0'));
        self::assertSame('of database 0', self::shared()->command('GET', 'key'));
    }

    public function test_units_do_not_nest_and_end_once(): void
    {
        $thrown = self::thrown(ClientException::class, static fn () => ResilientRedis::endUnit());
        self::assertStringContainsString('no unit is open', $thrown->getMessage());
        self::unit(static function (): void {
            $thrown = self::thrown(ClientException::class, static fn () => ResilientRedis::beginUnit());
            self::assertStringContainsString('open already', $thrown->getMessage());
        });
        self::thrown(ClientException::class, static fn () => ResilientRedis::endUnit());
    }

    public function test_an_exception_of_a_unit_goes_on_through_its_end(): void
    {
        $redis = self::client();
        $thrown = self::thrown(\DomainException::class, static fn () => self::unit(static function () use ($redis): void {
            $redis->multi();
            throw new \DomainException('of the unit');
        }));
        self::assertSame('of the unit', $thrown->getMessage());
        self::assertSame('PONG', $redis->ping());
    }

    /** @return iterable<string, array{callable(ResilientRedis): object, list<callable(object): mixed>}> */
    public static function leftOver(): iterable
    {
        $calls = static fn (string ...$methods): array => array_map(static fn (string $method) => static fn (object $left) => $left->$method(), $methods);
        $goesOn = static function (object $left): void {
            foreach ($left as $value) {
                self::fail('it gave ' . self::seen($value));
            }
        };
        yield 'a pipeline' => [
            static fn (ResilientRedis $redis) => $redis->pipeline()->set('key', 'late'),
            [...$calls('execute', 'flushPipeline', 'ping', 'getClient'), static fn ($left) => $left->flushPipeline(false),
                static fn ($left) => $left->execute(static fn () => self::fail('it was called')), static fn ($left) => $left->nosuch()],
        ];
        yield 'an empty pipeline' => [static fn (ResilientRedis $redis) => $redis->pipeline(), $calls('execute', 'flushPipeline', 'ping')];
        yield 'an atomic pipeline' => [static fn (ResilientRedis $redis) => $redis->pipeline(['atomic' => true])->set('key', 'late'), $calls('execute', 'ping')];
        $ofTransaction = $calls('execute', 'exec', 'multi', 'discard', 'unwatch', 'ping');
        yield 'a transaction' => [
            static fn (ResilientRedis $redis) => $redis->transaction()->set('key', 'late'),
            [...$ofTransaction, static fn ($left) => $left->watch('key'), static fn ($left) => $left->execute(static fn () => self::fail('it was called'))],
        ];
        yield 'a transaction that watches' => [
            static function (ResilientRedis $redis): object {
                $transaction = $redis->transaction(['watch' => 'key', 'cas' => true]);
                $transaction->get('key');

                return $transaction;
            },
            $ofTransaction,
        ];
        yield 'a loop over messages' => [
            static fn (ResilientRedis $redis) => $redis->pubSubLoop(['subscribe' => 'news']),
            [...$calls('current', 'valid', 'next', 'ping'), static fn ($left) => $left->subscribe('sports'), $goesOn],
        ];
        yield 'a dispatcher' => [
            static function (ResilientRedis $redis): object {
                $dispatcher = new ResilientRedis\PubSub\DispatcherLoop($redis->pubSubLoop());
                $dispatcher->attachCallback('news', static fn () => null);

                return $dispatcher;
            },
            $calls('run'),
        ];
        yield 'a loop over commands' => [static fn (ResilientRedis $redis) => $redis->monitor(), [...$calls('current', 'valid'), $goesOn]];
        yield 'an iterator' => [
            static fn (ResilientRedis $redis) => new ResilientRedis\Iterator\Keyspace($redis),
            [...$calls('current', 'key', 'next', 'valid', 'rewind'), $goesOn],
        ];
    }

    /**
     * @dataProvider leftOver
     * @param callable(ResilientRedis): object $make
     * @param list<callable(object): mixed> $uses
     */
    public function test_what_is_left_over_says_that_it_was_closed_with_its_unit(callable $make, array $uses): void
    {
        $redis = self::client();
        $redis->set('key', 'before');
        $left = null;
        self::unit(static function () use ($redis, $make, &$left): void {
            $left = $make($redis);
        });
        $counters = self::shared()->counters();
        foreach ($uses as $use) {
            $thrown = self::thrown(ClientException::class, static fn () => $use($left));
            self::assertStringContainsString('was made in a unit that has ended', $thrown->getMessage());
        }
        self::assertSame(0, self::shared()->counters()->since($counters)->commands, 'nothing was sent');
        self::assertSame('before', $redis->get('key'));
        self::assertCount(1, self::shared()->clients(), 'its connection is gone');
    }

    public function test_what_was_made_before_a_unit_outlives_it(): void
    {
        $redis = self::client();
        $loop = $redis->pubSubLoop(['subscribe' => 'jobs']);
        self::assertSame('subscribe', $loop->current()->kind);
        $iterator = new ResilientRedis\Iterator\Keyspace($redis);
        foreach (['one', 'two'] as $job) {
            $redis->publish('jobs', $job);
            self::unit(static fn () => self::assertSame($job, $loop->current()->payload));
        }
        self::assertTrue($loop->valid());
        self::assertSame([], iterator_to_array($iterator));
        $loop->stop(true);
    }

    public function test_a_consumer_of_pushes_that_was_made_before_a_unit_hears_on_over_it(): void
    {
        $redis = self::client();
        $push = $redis->push(static function (ResilientRedis $client): void {
            $client->subscribe('jobs');
        });
        $id = $push->getClient()->client('ID');
        foreach (['one', 'two'] as $job) {
            self::unit(static function () use ($redis, $push, $job): void {
                $redis->publish('jobs', $job);
                $message = $push->current();
                self::assertSame(['message', ['jobs', $job]], [$message->getDataType(), $message->getPayload()]);
            });
        }
        $redis->publish('jobs', 'three');
        self::assertSame(['jobs', 'three'], $push->current()->getPayload());
        self::assertSame($id, $push->getClient()->client('ID'), 'on the same connection');
        $push->stop();
    }

    public function test_a_consumer_of_pushes_goes_with_the_unit_that_it_was_made_in(): void
    {
        $redis = self::client();
        $redis->ping();
        self::unit(static function () use ($redis, &$push, &$ear): void {
            $push = $redis->push(static function (ResilientRedis $client) use (&$ear): void {
                $ear = $client;
                $client->subscribe('jobs');
            });
        });
        self::assertStringContainsString('was made in a unit that has ended', self::thrown(ClientException::class, static fn () => $push->current())->getMessage());
        Wait::until('its connection is gone', static fn () => count(self::shared()->clients()) === 1);
        self::assertSame('PONG', (string) $ear->ping(), 'the client that it had goes on');
        self::assertSame(0, $redis->publish('jobs', 'late'), 'and has forgotten what it heard');
    }

    public function test_a_loop_that_was_opened_in_a_unit_can_be_stopped_after_it(): void
    {
        $redis = self::client();
        self::unit(static function () use ($redis, &$loop): void {
            $loop = $redis->pubSubLoop(['subscribe' => 'news']);
        });
        self::assertTrue($loop->stop());
        self::assertTrue($loop->stop(true));
    }

    public function test_a_unit_may_end_inside_of_what_it_is_about_to_execute(): void
    {
        $redis = self::client();
        foreach (['pipeline', 'transaction'] as $method) {
            ResilientRedis::beginUnit();
            $thrown = self::thrown(ClientException::class, static fn () => $redis->$method(static function ($queue): void {
                $queue->set('key', 'never sent');
                ResilientRedis::endUnit();
            }));
            self::assertStringContainsString('was made in a unit that has ended', $thrown->getMessage());
        }
        ResilientRedis::beginUnit();
        $redis->pubSubLoop(['subscribe' => 'news'], static function (): void {
            ResilientRedis::endUnit();
        });
        self::assertNull($redis->get('key'));
        self::assertCount(1, self::shared()->clients());
    }

    public function test_fibers_share_the_unit_of_their_process(): void
    {
        $redis = self::client();
        $fiber = new \Fiber(static function () use ($redis): string {
            $transaction = $redis->transaction(['watch' => 'key', 'cas' => true]);
            $transaction->get('key');
            self::thrown(ClientException::class, static fn () => ResilientRedis::beginUnit());
            \Fiber::suspend();

            return self::thrown(ClientException::class, static fn () => $transaction->get('key'))->getMessage();
        });
        self::unit(static fn () => $fiber->start());
        $fiber->resume();
        self::assertStringContainsString('was made in a unit that has ended', $fiber->getReturn());
        self::assertSame('OK', $redis->set('key', 'value'));
    }

    public function test_a_sessions_lock_ends_with_its_unit(): void
    {
        $handler = new SessionHandler(self::client(), ['locking' => true, 'lock_wait' => 0.2]);
        self::unit(static function () use ($handler): void {
            $handler->read('abc');
            self::assertSame(1, self::shared()->command('EXISTS', '{abc}:lock'));
        });
        self::assertSame(0, self::shared()->command('EXISTS', '{abc}:lock'));
    }

    public function test_a_session_that_was_opened_before_a_unit_keeps_its_lock(): void
    {
        $handler = new SessionHandler(self::client(), ['locking' => true]);
        $handler->read('abc');
        self::unit(static fn () => null);
        self::assertSame(1, self::shared()->command('EXISTS', '{abc}:lock'));
        $handler->close();
    }

    /** @dataProvider waysToKeepASession */
    public function test_php_writes_the_session_of_a_unit_at_its_end(string $way): void
    {
        $script = Extension::php(__DIR__ . '/Fixtures/units-and-sessions.php', self::withSessions(), self::shared()->endpoint(), $way);
        $process = Process::run($script, seconds: 30.0);
        self::assertSame('', $process->errors());
        self::assertSame("written and let go\nof the next unit\n", $process->output());
    }

    /** @return array<string, array{string}> */
    public static function waysToKeepASession(): array
    {
        return ['by a handler' => ['handler'], 'by php.ini' => ['ini']];
    }

    public function test_what_fails_at_the_end_of_a_unit_is_thrown_and_the_unit_has_ended(): void
    {
        $server = $this->server();
        $redis = new ResilientRedis($server->endpoint(), ['command_timeout' => 0.2]);
        $handler = new SessionHandler($redis, ['locking' => true]);
        ResilientRedis::beginUnit();
        $handler->read('abc');
        $redis->multi();
        $server->kill();
        self::thrown(ResilientRedis\ConnectionException::class, static fn () => ResilientRedis::endUnit());
        self::unit(static fn () => null);
    }

    public function test_each_unit_has_the_whole_budget(): void
    {
        $redis = self::client(['request_budget' => 0.5]);
        $handler = new SessionHandler($redis, ['locking' => true]);
        for ($i = 0; $i < 2; $i++) {
            self::unit(static function () use ($redis, $handler): void {
                $handler->read('abc');
                self::thrown(ResilientRedis\TimeoutException::class, static fn () => $redis->blpop('nothing', 1));
                self::thrown(ResilientRedis\TimeoutException::class, static fn () => $redis->ping());
            });
            self::assertSame(0, self::shared()->command('EXISTS', '{abc}:lock'), 'the reserve was open to the session');
        }
    }

    public function test_a_child_ends_the_unit_that_it_was_forked_in_and_leaves_its_parents_session_alone(): void
    {
        $redis = self::client();
        $handler = new SessionHandler($redis, ['locking' => true]);
        ResilientRedis::beginUnit();
        $handler->read('abc');
        $redis->multi();
        $redis->set('key', 'of the parent');
        $child = pcntl_fork();
        if ($child === 0) {
            ResilientRedis::endUnit();
            $fine = $redis->get('key') === null;
            posix_kill(getmypid(), $fine ? SIGKILL : SIGTERM);
        }
        pcntl_waitpid($child, $status);
        self::assertSame(SIGKILL, pcntl_wtermsig($status));
        self::assertSame(1, self::shared()->command('EXISTS', '{abc}:lock'));
        self::assertSame(['OK'], $redis->exec());
        ResilientRedis::endUnit();
        self::assertSame(0, self::shared()->command('EXISTS', '{abc}:lock'));
    }

    public function test_a_unit_that_exits_ends_with_its_process(): void
    {
        $code = '$redis = new ResilientRedis($argv[1]); register_shutdown_function(function () use ($redis) {
            ResilientRedis::endUnit(); echo $redis->get("key") ?? "nothing"; });
            ResilientRedis::beginUnit(); $redis->multi(); $redis->set("key", "queued"); exit(3);';
        $command = array_slice(Extension::php('', []), 0, -1);
        $process = Process::run([...$command, '-r', $code, self::shared()->endpoint()], seconds: 30.0);
        self::assertSame('nothing', $process->output(), $process->errors());
    }

    public function test_the_end_of_a_request_ends_a_unit_that_it_has_left_open(): void
    {
        $fpm = $this->stoppedAtTheEnd(FpmMaster::start(__DIR__ . '/Fixtures/requests'));
        $workers = [];
        for ($request = 1; $request <= 3; $request++) {
            $said = $fpm->request('units.php', ['endpoint' => self::shared()->endpoint()])->json();
            self::assertSame(['db=0', 'db=0'], $said['seen']);
            self::assertSame((string) (2 * $request), self::shared()->command('GET', 'units'));
            $workers[] = $said['worker'];
        }
        self::assertCount(1, array_unique($workers));
        self::assertSame('', $fpm->crashes());
    }

    /** @return array<string, string> */
    private static function withSessions(): array
    {
        return ['session.use_cookies' => '0', 'session.cache_limiter' => ''];
    }

    private static function unit(callable $work): void
    {
        ResilientRedis::beginUnit();
        try {
            $work();
        } finally {
            ResilientRedis::endUnit();
        }
    }
}
