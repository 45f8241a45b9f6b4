<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ClientException;
use ResilientRedis\ConfigurationException;
use ResilientRedis\ConnectionException;
use ResilientRedis\LostReplyException;
use ResilientRedis\SessionHandler;
use Tests\Support\Certificates;
use Tests\Support\Extension;
use Tests\Support\Ports;
use Tests\Support\Process;
use Tests\Support\RedisCluster;
use Tests\Support\RedisServer;
use Tests\Support\RedisTestCase;
use Tests\Support\ReplicaSet;
use Tests\Support\Scratch;
use Tests\Support\SentinelSet;
use Tests\Support\Wait;

/** Passwords that change: two of them, and callables that are asked for them; and tokens in their place. */
final class AuthenticationTest extends RedisTestCase
{
    /** How often the callable was asked. */
    private int $asked = 0;

    private string $password = 'first';

    public function test_of_two_passwords_the_one_that_the_server_knows_is_used(): void
    {
        $server = $this->server();
        self::let($server, 'first');
        $of = static fn (array $passwords, int $protocol): ResilientRedis => new ResilientRedis(
            ['port' => $server->port, 'username' => 'app', 'password' => $passwords, 'protocol' => $protocol, 'database' => 3],
        );
        foreach ([2, 3] as $protocol) {
            self::assertSame('app', $of(['second', 'first'], $protocol)->acl('WHOAMI'), 'the old one still works');
            self::assertSame('app', $of(['first', 'second'], $protocol)->acl('WHOAMI'));
            $redis = $of(['wrong', 'worse'], $protocol);
            $failure = self::thrown(ConnectionException::class, static fn () => $redis->ping());
            self::assertStringContainsString('WRONGPASS', $failure->getMessage());
            self::assertStringNotContainsString('wors', $failure->getMessage());
        }
    }

    public function test_a_callable_is_asked_for_each_dial_and_not_for_what_is_open(): void
    {
        $server = $this->server();
        self::let($server, 'first');
        $redis = $this->asking($server);
        self::assertSame(0, $this->asked, 'nothing is opened before it is needed');
        self::assertSame('app', $redis->acl('WHOAMI'));
        $redis->set('k', 'v');
        self::assertSame(1, $this->asked);

        self::let($server, 'second');
        $this->password = 'second';
        self::assertSame('v', $redis->get('k'), 'what is open stays open');
        self::assertSame(1, $this->asked);
        self::killAll($server);
        self::assertSame('v', $redis->get('k'));
        self::assertSame(2, $this->asked);
    }

    public function test_another_callable_never_gets_what_the_first_one_has_opened(): void
    {
        $server = $this->server();
        self::let($server, 'first');
        $server->command('ACL', 'SETUSER', 'other', 'reset', 'on', '>theirs', '~*', '&*', '+@all');
        $of = static fn (array $says): ResilientRedis => new ResilientRedis(
            $server->endpoint(),
            ['parameters' => ['password' => static fn (): array => $says]],
        );
        self::assertSame('app', $of(['app', 'first'])->acl('WHOAMI'));
        self::assertSame('other', $of(['other', 'theirs'])->acl('WHOAMI'));
        self::thrown(ConnectionException::class, static fn () => $of(['app', 'stolen'])->acl('WHOAMI'));
        self::assertSame('app', $of(['app', 'first'])->acl('WHOAMI'));
        self::assertSame(2, $of(['app', 'first'])->stats()['connections']['idle'], 'one of each user');
    }

    public function test_a_callable_is_asked_once_more_before_a_wrong_password_is_an_error(): void
    {
        $server = $this->server();
        self::let($server, 'second');
        $late = ['first', 'second'];
        $asked = 0;
        $redis = new ResilientRedis(['port' => $server->port, 'username' => 'app', 'password' => static function () use (&$asked, $late): string {
            return $late[min($asked++, 1)];
        }]);
        self::assertSame('app', $redis->acl('WHOAMI'));
        self::assertSame(2, $asked);
        $this->password = 'never';
        $failure = self::thrown(ConnectionException::class, fn () => $this->asking($server)->ping());
        self::assertSame(['auth', 2], [$failure->getPhase(), $this->asked]);
    }

    public function test_a_callable_may_do_anything(): void
    {
        $server = $this->server();
        self::let($server, 'first');
        $other = self::client();
        $other->set('secret', 'first');
        $redis = new ResilientRedis(['port' => $server->port, 'username' => 'app', 'password' => static fn (): string => $other->get('secret')]);
        self::assertSame(['OK', 'v'], array_map(strval(...), $redis->pipeline(static function ($pipe): void {
            $pipe->set('k', 'v');
            $pipe->get('k');
        })));

        $thrown = new \DomainException('no secret today');
        $redis = new ResilientRedis(['port' => $server->port, 'password' => static fn () => throw $thrown]);
        self::assertSame($thrown, self::thrown(\DomainException::class, static fn () => $redis->get('k')));
        self::assertSame($thrown, self::thrown(\DomainException::class, static fn () => $redis->connect()));
        self::assertSame($thrown, self::thrown(\DomainException::class, static fn () => $redis->pipeline(static fn ($pipe) => $pipe->get('k'))));
        self::assertSame($thrown, self::thrown(\DomainException::class, static fn () => $redis->transaction(static fn ($block) => $block->get('k'))));
        self::assertSame($thrown, self::thrown(\DomainException::class, static fn () => $redis->pubSubLoop(['subscribe' => 'news'])));

        $itself = null;
        $itself = new ResilientRedis(['port' => $server->port, 'password' => static function () use (&$itself): string {
            return $itself->get('k');
        }]);
        $failure = self::thrown(ClientException::class, static fn () => $itself->ping());
        self::assertStringContainsString('uses the client that it is asked for', $failure->getMessage());

        $redis = new ResilientRedis(['port' => $server->port, 'password' => static fn (): array => ['a', 'b', 'hunter2']]);
        $failure = self::thrown(ConfigurationException::class, static fn () => $redis->ping());
        self::assertStringNotContainsString('hunter2', $failure->getMessage());
        self::assertSame(0, $redis->stats()['connections']['leased']);
    }

    /** @return iterable<string, array{string, int, string}> */
    public static function ends(): iterable
    {
        $endings = ['exit' => ['exit(3);', 3, ''], 'memory' => ["ini_set('memory_limit', '16M'); str_repeat('x', 1 << 28);", 255, 'Allowed memory size']];
        foreach (['$redis->get("k")', '$redis->pipeline(fn ($pipe) => $pipe->get("k"))', '$redis->pubSubLoop(["subscribe" => "news"])', '$redis->connect()'] as $work) {
            foreach ($endings as $name => [$ends, $status, $says]) {
                yield "$name in $work" => ["$ends$work;", $status, $says];
            }
        }
    }

    /** @dataProvider ends */
    public function test_a_program_may_end_while_it_is_asked(string $code, int $status, string $says): void
    {
        $server = $this->server();
        self::let($server, 'first');
        [$ends, $work] = explode('$redis', $code, 2);
        $script = Scratch::folder('ends') . '/ends.php';
        file_put_contents($script, <<<PHP
            <?php
            \$calls = 0;
            \$redis = new ResilientRedis(['port' => $server->port, 'username' => 'app', 'password' => function () use (&\$calls) {
                if (\$calls++ === 0) {
                    $ends
                }
                return 'first';
            }]);
            register_shutdown_function(function () use (\$redis) {
                echo 'leased ', \$redis->stats()['connections']['leased'], ', ended ', \$redis->acl('WHOAMI');
            });
            \$redis$work
            echo 'not reached';
            PHP);
        $process = Process::run(Extension::php($script));
        self::assertSame($status, $process->wait(), $process->describe());
        self::assertStringContainsString('leased 0, ended app', $process->output());
        self::assertStringContainsString($says, $process->output());
        self::assertStringNotContainsString('not reached', $process->output());
    }

    public function test_callables_that_ask_each_other_without_end_are_refused(): void
    {
        $server = $this->server();
        self::let($server, 'first');
        $script = Scratch::folder('nested') . '/nested.php';
        file_put_contents($script, <<<PHP
            <?php
            \$deep = 0;
            function made(int \$levels): ResilientRedis {
                return new ResilientRedis(['port' => $server->port, 'username' => 'app', 'password' => function () use (\$levels): string {
                    return ++\$GLOBALS['deep'] > \$levels ? 'first' : made(\$levels)->get('k') . 'first';
                }]);
            }
            try {
                made(1_000_000)->get('k');
            } catch (ResilientRedis\\ClientException \$failure) {
                echo \$deep, ' ', \$failure->getMessage(), "\\n";
            }
            \$deep = 0;
            made(10)->get('k');
            echo \$deep;
            PHP);
        $process = Process::run(Extension::php($script));
        self::assertSame(0, $process->wait(), $process->describe());
        self::assertStringStartsWith('16 the callable', $process->output());
        self::assertStringEndsWith("\n11", $process->output());
    }

    public function test_many_callables_may_stand_still_in_fibers(): void
    {
        $server = $this->server();
        self::let($server, 'first');
        $fibers = array_map(static fn (int $number) => new \Fiber(static function () use ($server): mixed {
            return (new ResilientRedis(['port' => $server->port, 'username' => 'app', 'password' => static function (): string {
                \Fiber::suspend();

                return 'first';
            }]))->acl('WHOAMI');
        }), range(1, 40));
        array_map(static fn (\Fiber $fiber) => $fiber->start(), $fibers);
        array_map(static fn (\Fiber $fiber) => $fiber->resume(), $fibers);
        self::assertSame(['app'], array_values(array_unique(array_map(static fn (\Fiber $fiber) => $fiber->getReturn(), $fibers))));
    }

    public function test_a_session_says_what_the_server_said_and_leaves_nothing_to_others(): void
    {
        $server = $this->server();
        self::let($server, 'first');
        $redis = $this->asking($server);
        $sessions = new SessionHandler($redis);
        $this->password = 'wrong';
        $failure = self::thrown(ConnectionException::class, static fn () => $sessions->write('id', 'data'));
        self::assertStringContainsString('WRONGPASS', $failure->getMessage());
        self::assertSame(1, $this->asked);
        self::assertSame('PONG', (string) self::client()->ping());
        $this->password = 'first';
        self::assertTrue($sessions->write('id', 'data'));
        self::assertSame('data', $sessions->read('id'));
    }

    public function test_each_unit_of_work_and_each_disconnect_asks_who_it_is(): void
    {
        $server = $this->server();
        self::let($server, 'first');
        $server->command('ACL', 'SETUSER', 'other', 'reset', 'on', '>theirs', '~*', '&*', '+@all');
        $tenant = ['app', 'first'];
        $redis = new ResilientRedis(['port' => $server->port, 'password' => static function () use (&$tenant): array {
            return $tenant;
        }]);
        foreach ([['app', 'first'], ['other', 'theirs'], ['app', 'first']] as $tenant) {
            ResilientRedis::beginUnit();
            self::assertSame($tenant[0], $redis->acl('WHOAMI'));
            ResilientRedis::endUnit();
        }
        $tenant = ['other', 'theirs'];
        $redis->disconnect();
        self::assertSame('other', $redis->acl('WHOAMI'));
    }

    public function test_what_is_in_doubt_stays_so_if_the_callable_throws(): void
    {
        $server = $this->server();
        self::let($server, 'first');
        $throws = false;
        $password = static function () use (&$throws): string {
            return $throws ? throw new \DomainException('no secret today') : 'first';
        };
        $redis = new ResilientRedis(['port' => $server->port, 'username' => 'app', 'password' => $password]);
        $redis->set('k', 1);
        $throws = true;
        $server->freeze();
        $killer = new Process(['sh', '-c', "sleep 0.3; kill -9 {$server->pid()}"]);
        $failure = self::thrown(LostReplyException::class, static fn () => $redis->set('k', 2));
        $killer->wait();
        self::assertInstanceOf(\DomainException::class, $failure->getPrevious());
    }

    public function test_what_a_callable_that_throws_has_kept_from_a_cluster_is_never_sent_and_has_no_reply(): void
    {
        $cluster = RedisCluster::start(2, 0);
        $this->stoppedAtTheEnd($cluster);
        foreach ($cluster->running() as $server) {
            self::let($server, 'first');
        }
        $throws = false;
        $other = null;
        $password = static function () use (&$throws, &$other): string {
            $other?->pipeline(static fn ($pipe) => $pipe->set('{a}mine', 'v'));

            return $throws ? throw new \DomainException('no secret today') : 'first';
        };
        $make = static fn (): ResilientRedis => new ResilientRedis($cluster->endpoint(), ['parameters' => ['username' => 'app', 'password' => $password]]);
        $make()->mset(['{a}n' => 0, '{b}n' => 0]);
        $wants = [
            static fn (ResilientRedis $redis) => $redis->pipeline(static function ($pipe): void {
                array_map(static fn (string $tag) => $pipe->incr("{{$tag}}n"), ['a', 'b', 'c', 'd']);
                $pipe->dbsize();
            }),
            static fn (ResilientRedis $redis) => $redis->dbsize(),
            static fn (ResilientRedis $redis) => $redis->mget('{a}n', '{b}n', '{c}n', '{d}n'),
        ];
        foreach ($wants as $want) {
            $redis = $make();
            $throws = true;
            self::thrown(\DomainException::class, static fn () => $want($redis));
            $throws = false;
            self::assertSame(['0', '0', 2], $redis->pipeline(static fn ($pipe) => $pipe->get('{a}n')->get('{b}n')->dbsize()));
            self::assertEqualsCanonicalizing(['{a}n', '{b}n'], $redis->keys('*'));
            self::assertSame(['0', '0', null], $redis->mget('{a}n', '{b}n', '{c}n'));
        }
        $redis = $other = $make();
        $failure = self::thrown(ClientException::class, static fn () => $redis->pipeline(static fn ($pipe) => $pipe->incr('{a}n')->incr('{b}n')));
        self::assertStringContainsString('uses the client that it is asked for', $failure->getMessage());
        $other = null;
        self::assertSame(['0', '0'], $redis->mget('{a}n', '{b}n'));
    }

    public function test_a_method_named_with_its_class_is_refused_before_php_could_run_code(): void
    {
        $vault = new class () extends \ArrayObject {
            public function count(): int
            {
                return 1;
            }
        };
        $password = [$vault, 'parent::count'];
        $parameters = ['password' => &$password];
        set_error_handler(static function () use (&$password): bool {
            $password = null;

            return true;
        });
        try {
            $failure = self::thrown(ConfigurationException::class, static fn () => new ResilientRedis($parameters));
        } finally {
            restore_error_handler();
        }
        self::assertStringContainsString('password', $failure->getMessage());
        self::assertIsArray($password, 'no handler of errors has run');
    }

    public function test_a_callable_may_stand_still_in_a_fiber_while_another_client_asks(): void
    {
        $server = $this->server();
        self::let($server, 'first');
        $redis = static fn (bool $stands): ResilientRedis => new ResilientRedis(['port' => $server->port, 'username' => 'app', 'password' => static function () use ($stands): string {
            $stands && \Fiber::suspend();

            return 'first';
        }]);
        $fibers = array_map(static fn (string $key) => new \Fiber(static function () use ($redis, $key): array {
            $client = $redis(true);

            return [(string) $client->set($key, $key), $client->get($key)];
        }), ['one', 'two', 'three']);
        array_map(static fn (\Fiber $fiber) => $fiber->start(), $fibers);
        self::assertNull($redis(false)->get('one'));
        array_map(static fn (\Fiber $fiber) => $fiber->resume(), $fibers);
        self::assertSame([['OK', 'one'], ['OK', 'two'], ['OK', 'three']], array_map(static fn (\Fiber $fiber) => $fiber->getReturn(), $fibers));
    }

    public function test_a_method_and_an_object_are_callables_and_two_texts_are_two_passwords(): void
    {
        $server = $this->server();
        self::let($server, 'strtolower');
        $invokable = new class () {
            public function __invoke(): string
            {
                return 'strtolower';
            }

            public function password(): string
            {
                return 'strtolower';
            }
        };
        foreach (['strtolower', $invokable, [$invokable, 'password'], ['strrev', 'strtolower'], $invokable->password(...)] as $password) {
            $redis = new ResilientRedis(['port' => $server->port, 'username' => 'app', 'password' => $password]);
            self::assertSame('app', $redis->acl('WHOAMI'));
            ResilientRedis::resetPools();
        }
    }

    public function test_sessions_listeners_and_single_nodes_ask_as_well(): void
    {
        $server = $this->server();
        self::let($server, 'first');
        $redis = $this->asking($server);
        $sessions = new SessionHandler($redis, ['locking' => true]);
        self::assertSame('', $sessions->read('id'));
        self::assertTrue($sessions->write('id', 'data'));
        self::assertTrue($sessions->close());
        self::assertSame('data', $sessions->read('id'));
        $sessions->close();
        $node = $redis->getClientBy('role', 'master');
        self::assertSame('app', $node->acl('WHOAMI'));
        $push = $redis->push(static fn ($client) => $client->subscribe('news'));
        $redis->publish('news', 'hello');
        foreach ($push as $message) {
            if ($message !== null && $message->getDataType() === 'message') {
                break;
            }
        }
        $push->stop();
        self::assertSame('app', $redis->withOptions(['command_timeout' => 3])->acl('WHOAMI'));
    }

    public function test_a_loop_subscribes_again_with_a_new_password(): void
    {
        $server = $this->server();
        self::let($server, 'first');
        $loop = $this->asking($server)->pubSubLoop(['subscribe' => 'news']);
        self::assertSame('subscribe', $loop->current()->kind);
        self::let($server, 'second');
        $this->password = 'second';
        self::killAll($server, 'pubsub');
        $publisher = new Process(['sh', '-c', "sleep 0.5; redis-cli -p $server->port publish news hello"]);
        $loop->next();
        $message = $loop->current();
        self::assertSame(['message', 'hello'], [$message->kind, $message->payload]);
        $publisher->wait();
        self::assertSame(2, $this->asked);
    }

    public function test_sentinels_have_a_callable_of_their_own(): void
    {
        $set = SentinelSet::start([], ['requirepass watch', 'sentinel sentinel-pass watch'], 'watch');
        $this->stoppedAtTheEnd($set);
        foreach ($set->nodes->nodes as $node) {
            self::let($node, 'first');
        }
        $watch = 'watch';
        $sentinels = array_map(
            static fn (string $endpoint): array => [
                'host' => '127.0.0.1', 'port' => (int) substr($endpoint, strrpos($endpoint, ':') + 1), 'password' => null,
            ],
            $set->endpoints(),
        );
        $of_sentinels = static function () use (&$watch): string {
            return $watch;
        };
        foreach ($sentinels as &$sentinel) {
            $sentinel['password'] = $of_sentinels;
        }
        unset($sentinel);
        $redis = new ResilientRedis($sentinels, [
            'replication' => 'sentinel', 'service' => SentinelSet::SERVICE, 'command_timeout' => 5.0,
            'parameters' => ['username' => 'app', 'password' => fn (): string => $this->password],
        ]);
        self::assertSame('app', $redis->acl('WHOAMI'));
        foreach ($set->nodes->nodes as $node) {
            self::let($node, 'second');
            self::killAll($node);
        }
        $this->password = 'second';
        foreach ($set->sentinels as $sentinel) {
            $sentinel->command('ACL', 'SETUSER', 'default', 'resetpass', '>changed');
        }
        $watch = 'changed';
        self::assertSame('app', $redis->acl('WHOAMI'));
        ResilientRedis::resetPools();
        self::assertSame('app', $redis->acl('WHOAMI'), 'found anew');
        $sentinel = $redis->getClientBy('role', 'sentinel');
        self::assertSame('default', $sentinel->acl('WHOAMI'));
    }

    public function test_replicas_are_read_from_with_a_new_password(): void
    {
        $set = ReplicaSet::start(2);
        $this->stoppedAtTheEnd($set);
        foreach ($set->nodes as $node) {
            self::let($node, 'first');
        }
        $redis = new ResilientRedis($set->endpoints(), [
            'read_from' => 'replica', 'parameters' => ['username' => 'app', 'password' => fn (): string => $this->password],
        ]);
        $redis->set('k', 'v');
        Wait::until('the replicas have it', static fn (): bool => $set->replica(0)->command('GET', 'k') === 'v' && $set->replica(1)->command('GET', 'k') === 'v');
        for ($round = 0; $round < 3; $round++) {
            $this->password = "password $round";
            foreach ($set->nodes as $node) {
                self::let($node, $this->password);
                self::killAll($node);
            }
            for ($i = 0; $i < 10; $i++) {
                self::assertSame('v', $redis->get('k'));
            }
        }
    }

    /** @return iterable<string, array{string}> */
    public static function kinds(): iterable
    {
        foreach (['commands', 'pipelines', 'transactions', 'several nodes', 'new objects'] as $kind) {
            yield $kind => [$kind];
        }
    }

    /** @dataProvider kinds */
    public function test_a_rotation_under_load_costs_nothing(string $kind): void
    {
        $server = $this->server();
        $this->rotateUnderLoad($kind, [$server], $server->endpoint(), []);
    }

    /** @dataProvider kinds */
    public function test_a_rotation_under_load_costs_nothing_in_a_cluster(string $kind): void
    {
        $cluster = RedisCluster::start(3, 1);
        $this->stoppedAtTheEnd($cluster);
        $this->rotateUnderLoad($kind, $cluster->running(), $cluster->endpoints(), ['cluster' => 'redis']);
    }

    /**
     * @param list<RedisServer> $servers
     * @param string|list<string> $parameters
     * @param array<string, mixed> $options
     */
    private function rotateUnderLoad(string $kind, array $servers, string|array $parameters, array $options): void
    {
        $file = Scratch::folder('rotation') . '/password';
        $put = static function (string $password) use ($file): void {
            file_put_contents("$file.new", $password);
            rename("$file.new", $file);
        };
        $put('password 0');
        foreach ($servers as $server) {
            self::let($server, 'password 0');
        }
        $process = new Process(Extension::php(
            __DIR__ . '/Fixtures/rotation.php',
            [],
            $kind,
            $file,
            (string) json_encode($parameters),
            (string) json_encode($options),
        ));
        Wait::until('the process works', static fn (): bool => str_contains($process->output(), 'ready') || !$process->isRunning());
        for ($round = 1; $round <= 8; $round++) {
            usleep(60_000);
            foreach ($servers as $server) {
                $server->command('ACL', 'SETUSER', 'app', ">password $round");
            }
            $put("password $round");
            foreach ($servers as $server) {
                self::killAll($server);
            }
            usleep(60_000);
            foreach ($servers as $server) {
                $server->command('ACL', 'SETUSER', 'app', '<password ' . ($round - 1));
                self::killAll($server);
            }
        }
        usleep(100_000);
        $process->write("\n");
        self::assertSame(0, $process->wait(), $process->describe());
        $said = explode("\n", trim($process->output()));
        [$done, $failures] = (array) json_decode((string) end($said), true);
        self::assertSame([], $failures);
        self::assertGreaterThan(20, $done);
    }

    public function test_a_token_is_signed_with_the_keys_of_a_callable_and_sent_under_tls(): void
    {
        $authority = new Certificates();
        $identity = $authority->issue('DNS:localhost');
        $directives = $authority->server($identity);
        $server = $this->server($directives + ['bind' => '127.0.0.1 -::1']);
        $server->command('ACL', 'SETUSER', 'app', 'on', 'nopass', '~*', '&*', '+@all');
        $keys = ['key' => 'AKIDEXAMPLE', 'secret' => 'wJalrXUtnFEMI', 'token' => 'lent'];
        $of = fn (int $port, mixed $keys): ResilientRedis => new ResilientRedis(
            ['scheme' => 'tls', 'host' => 'localhost', 'port' => $port, 'ssl' => ['cafile' => $authority->authority()]],
            ['command_timeout' => 2.0, 'iam' => [
                'user' => 'app', 'cache' => 'my-cache', 'region' => 'eu-central-1', 'serverless' => true,
                'credentials' => function () use ($keys): mixed {
                    $this->asked++;

                    return $keys;
                },
            ]],
        );
        $redis = $of((int) $directives['tls-port'], $keys);
        self::assertSame('app', $redis->acl('WHOAMI'));
        self::assertSame('app', $redis->acl('WHOAMI'));
        self::assertSame(1, $this->asked);
        self::killAll($server);
        self::assertSame('app', $redis->acl('WHOAMI'));
        self::assertSame(2, $this->asked);
        $besides = ['expires' => null, 'accountId' => null];
        self::assertSame('app', $of((int) $directives['tls-port'], $keys + $besides)->acl('WHOAMI'));
        foreach (['text', ['tokn' => 'lent'] + $keys] as $wrong) {
            $failure = self::thrown(ConfigurationException::class, static fn () => $of((int) $directives['tls-port'], $wrong)->ping());
            self::assertStringContainsString('iam.credentials', $failure->getMessage());
            self::assertStringNotContainsString('lent', str_replace('are lent', '', $failure->getMessage()));
        }

        [$port, $heard] = $this->listenOnce($identity);
        self::thrown(ConnectionException::class, static fn () => $of($port, $keys)->ping());
        $words = explode("\r\n", $heard());
        self::assertSame(['HELLO', '2', 'AUTH', 'app'], [$words[2], $words[4], $words[6], $words[8]]);
        self::assertStringStartsWith('my-cache/?Action=connect&User=app&ResourceType=ServerlessCache&X-Amz-Algorithm=AWS4-HMAC-SHA256&', $words[10]);
        parse_str((string) parse_url("http://$words[10]", PHP_URL_QUERY), $query);
        self::assertSame(['900', 'lent'], [$query['X-Amz-Expires'], $query['X-Amz-Security-Token']]);
        self::assertStringContainsString('/eu-central-1/elasticache/', $query['X-Amz-Credential']);
    }

    public function test_tokens_without_keys_or_without_tls_are_said_at_once(): void
    {
        $iam = ['user' => 'app', 'cache' => 'my-cache', 'region' => 'eu-central-1'];
        $failure = self::thrown(ConfigurationException::class, static fn () => new ResilientRedis('tcp://localhost', ['iam' => $iam]));
        self::assertStringContainsString('TLS', $failure->getMessage());
        $script = Scratch::folder('iam') . '/ping.php';
        file_put_contents($script, '<?php try { (new ResilientRedis("tls://127.0.0.1:1", ["iam" => ' . var_export($iam, true) . ']))->ping(); }
            catch (ResilientRedis\ConnectionException $failure) { echo $failure->getPhase(), ": ", $failure->getMessage(); }');
        $environment = ['AWS_EC2_METADATA_DISABLED' => 'true', 'AWS_SHARED_CREDENTIALS_FILE' => '/nowhere', 'HOME' => '/nowhere'];
        $process = Process::run(Extension::php($script), $environment);
        self::assertStringStartsWith('auth: no AWS credentials (environment: ', $process->output());
        $environment += ['AWS_ACCESS_KEY_ID' => 'AKIDEXAMPLE', 'AWS_SECRET_ACCESS_KEY' => 'wJalrXUtnFEMI'];
        $process = Process::run(Extension::php($script), $environment);
        self::assertStringStartsWith('dial: ', $process->output(), 'with keys it is tried');
    }

    /**
     * A port that speaks TLS and notes what it hears first.
     *
     * @param array{string, string} $identity
     * @return array{int, callable(): string}
     */
    private function listenOnce(array $identity): array
    {
        $folder = Scratch::folder('listener');
        [$port, $script] = [Ports::free(), "$folder/listen.php"];
        file_put_contents($script, '<?php [, $port, $certificate, $key] = $argv;
            $context = stream_context_create(["ssl" => ["local_cert" => $certificate, "local_pk" => $key]]);
            $server = stream_socket_server("tls://localhost:$port", $errno, $error, STREAM_SERVER_BIND | STREAM_SERVER_LISTEN, $context);
            echo "ready\n";
            echo base64_encode((string) fread(stream_socket_accept($server, 10), 8192)), "\n";');
        $process = new Process([PHP_BINARY, $script, (string) $port, ...$identity]);
        $this->stoppedAtTheEnd($process);
        Wait::until('the port listens', static fn (): bool => str_contains($process->output(), 'ready'));

        return [$port, static function () use ($process): string {
            self::assertSame(0, $process->wait(), $process->describe());

            return (string) base64_decode(explode("\n", $process->output())[1], true);
        }];
    }

    /** A client whose password is asked for. */
    private function asking(RedisServer $server): ResilientRedis
    {
        return new ResilientRedis(['port' => $server->port, 'username' => 'app', 'password' => function (): string {
            $this->asked++;

            return $this->password;
        }]);
    }

    /** Lets user `app` in with this password, and no other. */
    private static function let(RedisServer $server, string $password): void
    {
        $server->command('ACL', 'SETUSER', 'app', 'on', 'resetpass', ">$password", '~*', '&*', '+@all');
    }

    private static function killAll(RedisServer $server, string $type = 'normal'): void
    {
        $server->command('CLIENT', 'KILL', 'USER', 'app', 'TYPE', $type, 'SKIPME', 'yes');
    }
}
