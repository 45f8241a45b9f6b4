<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ConfigurationException;
use ResilientRedis\ConnectionException;
use ResilientRedis\ProtocolException;
use ResilientRedis\TimeoutException;
use Tests\Support\Extension;
use Tests\Support\Process;
use Tests\Support\RedisTestCase;
use Tests\Support\Scratch;
use Tests\Support\ScriptedServer;
use Tests\Support\Wait;

/** What may come between a command and its reply: PHP code, signals, a server that never stops talking. */
final class InterruptionTest extends RedisTestCase
{
    /** @var list<object> Objects that the collector of cycles has to look at. */
    private static array $kept = [];

    public function test_a_reply_with_a_list_for_a_key_runs_no_code_of_the_program_and_is_refused(): void
    {
        $proxy = $this->stoppedAtTheEnd(ScriptedServer::saying(self::shared(), 'HGETALL', "*2\r\n*1\r\n+list\r\n+value\r\n"));
        $redis = new ResilientRedis($proxy->endpoint(), ['retry' => false]);
        $redis->set('k', 'v');
        $called = 0;
        set_error_handler(static function () use (&$called, $redis): bool {
            $called++;
            $redis->get('k');

            return true;
        });
        try {
            self::thrown(ProtocolException::class, static fn () => $redis->hgetall('h'));
        } finally {
            restore_error_handler();
        }
        self::assertSame(0, $called, 'calls of the error handler');
        self::assertSame('v', $redis->get('k'));
    }

    public function test_keys_that_are_no_strings_become_what_php_would_make_of_them(): void
    {
        $map = "%4\r\n:7\r\n+int\r\n,1.5\r\n+float\r\n#t\r\n+bool\r\n_\r\n+nil\r\n";
        $proxy = $this->stoppedAtTheEnd(ScriptedServer::saying(self::shared(), 'HGETALL', $map));
        $redis = new ResilientRedis($proxy->endpoint(), ['protocol' => 3]);
        self::assertSame([7 => 'int', '1.5' => 'float', '1' => 'bool', '' => 'nil'], $redis->hgetall('h'));
    }

    public function test_exit_in_a_listener_ends_the_program(): void
    {
        $run = $this->inProcess(<<<'PHP'
            $redis->onEvent(static function (): void { echo "leaving\n"; exit(3); });
            $redis->get('k');
            echo "still running\n";
            PHP);
        self::assertSame(["leaving\n", 3], [$run->output(), $run->wait()], $run->errors());
    }

    public function test_what_a_listener_throws_is_logged_and_the_command_keeps_its_outcome(): void
    {
        $run = $this->inProcess(<<<'PHP'
            set_error_handler(static fn (int $level, string $text) => throw new ErrorException($text));
            $redis->onEvent(static fn () => throw new DomainException('a listener failed'));
            var_dump($redis->get('k'));
            PHP);
        self::assertSame("NULL\n", $run->output(), $run->errors());
        self::assertStringContainsString('DomainException: a listener failed', $run->errors());
    }

    public function test_no_destructor_runs_in_the_middle_of_an_exchange(): void
    {
        $redis = self::client();
        $redis->set('text', 'no number');
        $found = [];
        $objects = array_map(static fn () => new \stdClass(), range(1, 30));
        $ignored = ini_set('zend.exception_ignore_args', '0');
        try {
            foreach ([2, 5, 10] as $distance) {
                $pipeline = $redis->pipeline(['fire-and-forget' => true]);
                for ($i = 0; $i < 10; $i++) {
                    $pipeline->multi()->incr('text')->exec()->set("k$i", $distance);
                }
                $this->littered($distance, static function () use ($redis, &$found): void {
                    $found[] = [$redis->stats()['connections']['leased'], $redis->get('text')];
                });
                // Each error knows these objects, and forgets them when the next reply takes its place.
                $execute = static fn (object ...$objects) => $pipeline->execute();
                $execute(...$objects);
                gc_collect_cycles();
                self::assertSame([(string) $distance, (string) $distance], $redis->mget('k0', 'k9'));
            }
        } finally {
            ini_set('zend.exception_ignore_args', (string) $ignored);
        }
        self::assertSame(array_fill(0, 3, [0, 'no number']), $found, 'connections in use, and a reply, in the destructors');
    }

    /** Leaves a cycle with a destructor behind, and so many places for roots before the collector of cycles runs. */
    private function littered(int $distance, callable $destructor): void
    {
        $objects = [];
        for ($i = 0; $i < gc_status()['threshold']; $i++) {
            $objects[] = new \stdClass();
        }
        gc_collect_cycles();
        $cycle = new class ($destructor) {
            public ?object $self;

            public function __construct(private readonly \Closure $destructor)
            {
                $this->self = $this;
            }

            public function __destruct()
            {
                ($this->destructor)();
            }
        };
        unset($cycle);
        for ($i = 0; gc_status()['roots'] < gc_status()['threshold'] - $distance; $i++) {
            $another = $objects[$i];
            unset($another);
        }
        self::$kept = $objects;
    }

    /** @dataProvider secretive */
    public function test_no_trace_shows_a_password(string $code): void
    {
        $run = $this->inProcess("try { $code } catch (Throwable \$e) { print_r(\$e->getTrace()); echo \$e->getTraceAsString(), \$e; }");
        self::assertStringContainsString('SensitiveParameterValue', $run->output(), $run->errors());
        self::assertStringNotContainsString('hunter2', $run->output());
    }

    /** @return iterable<string, array{string}> */
    public static function secretive(): iterable
    {
        yield 'the constructor' => ["new ResilientRedis(['password' => 'hunter2', 'port' => 'x']);"];
        yield 'options' => ["new ResilientRedis(null, ['password' => 'hunter2', 'timeout' => 'x']);"];
        yield 'auth' => ["\$redis->auth('hunter2');"];
        yield 'auth with a user' => ["\$redis->auth('u', 'hunter2');"];
        yield 'a pipeline' => ["\$redis->pipeline()->config('SET', ['requirepass' => 'hunter2']);"];
        yield 'acl' => ["\$redis->acl('SETUSER', 'u', '>hunter2', 'nonsense');"];
        yield 'executeRaw' => ["\$redis->executeRaw([5, 'hunter2']);"];
        yield 'executeCommand' => ["\$redis->executeCommand(new ResilientRedis\\Command\\RawCommand('AUTH', ['hunter2']));"];
        yield 'executeCommand of a pipeline' => ["\$redis->pipeline()->executeCommand(new ResilientRedis\\Command\\RawCommand('AUTH', [new stdClass(), 'hunter2']));"];
        yield 'createCommand' => ["\$redis->createCommand('auth', [new stdClass(), 'hunter2']);"];
        yield 'a factory' => ["\$redis->getCommandFactory()->create('auth', [new stdClass(), 'hunter2']);"];
        yield 'the constructor of a command' => ["new ResilientRedis\\Command\\RawCommand(5, ['hunter2']);"];
        yield 'arguments of a command' => ["\$redis->createCommand('auth')->setArguments([new stdClass(), 'hunter2']);"];
    }

    public function test_signals_do_not_stretch_a_limit(): void
    {
        $server = $this->stoppedAtTheEnd(ScriptedServer::misbehaving('silent'));
        pcntl_async_signals(true);
        $handled = 0;
        pcntl_signal(SIGUSR1, static function () use (&$handled): void {
            $handled++;
        });
        $loop = sprintf('i=0; while [ $i -lt 100 ] && kill -USR1 %d; do i=$((i + 1)); sleep 0.04; done', getmypid());
        $sender = $this->stoppedAtTheEnd(new Process(['/bin/sh', '-c', $loop]));
        try {
            Wait::until('signals come', static function () use (&$handled): ?bool {
                return $handled > 0 ? true : null;
            });
            $redis = new ResilientRedis($server->endpoint(), ['command_timeout' => 1, 'read_write_timeout' => 0.5]);
            $start = Wait::now();
            self::thrown(TimeoutException::class, static fn () => $redis->get('k'));
            self::assertLessThan(2.0, Wait::now() - $start, 'seconds, with a command_timeout of 1');
        } finally {
            $sender->kill();
            pcntl_signal(SIGUSR1, SIG_DFL);
        }
    }

    public function test_a_server_that_never_stops_talking_does_not_outlast_a_limit(): void
    {
        $server = $this->stoppedAtTheEnd(ScriptedServer::misbehaving('flood'));
        $redis = new ResilientRedis($server->endpoint(), ['command_timeout' => 1, 'timeout' => 0.5]);
        $start = Wait::now();
        self::thrown(ConnectionException::class, static fn () => $redis->get('k'));
        self::assertLessThan(3.0, Wait::now() - $start, 'seconds, with a command_timeout of 1');
    }

    public function test_a_listener_that_is_given_before_the_parent_constructor_is_replaced(): void
    {
        $client = new class (self::shared()->endpoint()) extends ResilientRedis {
            public function __construct(string $endpoint)
            {
                $this->onEvent(static fn () => null);
                parent::__construct($endpoint, ['on_event' => static fn () => null]);
            }
        };
        self::assertSame('PONG', $client->ping());
        self::thrown(ConfigurationException::class, static fn () => new ResilientRedis(null, ['on_event' => 'NoClass::none']));
    }

    /** Runs code with a client `$redis` that has something to tell its listener: its primary is gone, another one promoted. */
    private function inProcess(string $code): Process
    {
        $set = $this->replicaSet(1);
        $script = Scratch::folder('script') . '/script.php';
        file_put_contents($script, <<<PHP
            <?php
            \$redis = new ResilientRedis('{$set->primary()->endpoint()}');
            \$redis->ping();
            file_put_contents('$script.ready', '');
            while (!file_exists('$script.go')) { usleep(1000); clearstatcache(); }
            $code
            PHP);
        $ini = ['log_errors' => '1', 'error_log' => '/dev/stderr', 'zend.exception_ignore_args' => '0', 'display_errors' => '0'];
        $run = $this->stoppedAtTheEnd(new Process(Extension::php($script, $ini)));
        Wait::until('the script is connected', static fn (): ?bool => file_exists("$script.ready") ?: null);
        $set->primary()->kill();
        $set->promote($set->replica());
        touch("$script.go");
        Wait::until('the script ends', static fn (): ?bool => $run->isRunning() ? null : true);

        return $run;
    }
}
