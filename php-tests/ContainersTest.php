<?php

declare(strict_types=1);

namespace Tests;

use ResilientRedis;
use ResilientRedis\ClientException;
use ResilientRedis\Container;
use ResilientRedis\ServerException;
use Tests\Support\RedisTestCase;

/** Subcommands as methods of a property, as with Predis; and what else the properties of a client are. */
final class ContainersTest extends RedisTestCase
{
    /** @return iterable<string, array{int}> */
    public static function protocols(): iterable
    {
        yield 'RESP2' => [2];
        yield 'RESP3' => [3];
    }

    /** @dataProvider protocols */
    public function test_a_method_of_a_container_is_the_subcommand_with_its_arguments_and_reply(int $protocol): void
    {
        $redis = self::client(['protocol' => $protocol]);
        self::assertSame('default', $redis->acl->whoami());
        self::assertSame('lib', $redis->function->load("#!lua name=lib\nredis.register_function('f', function() return 1 end)"));
        self::assertSame('OK', $redis->function->delete('lib'));
        self::assertSame(['maxmemory-samples' => '5'], $redis->config->get('maxmemory-samples'));
        self::assertSame('OK', $redis->xgroup->create('x', 'g', '$', 'MKSTREAM'));
        self::assertSame('OK', $redis->xgroup->create('made', 'g', '0', true));
        self::assertSame(1, $redis->exists('made'));
        self::assertSame($redis->xinfo('GROUPS', 'x'), $redis->xinfo->groups('x'));
        self::assertSame('g', $redis->xinfo->groups('x')[0]['name']);
        self::assertSame([0], $redis->script->exists('ff'));
        self::assertSame($redis->command('COUNT'), $redis->command->count());
        self::assertSame($redis->pubsub('NUMSUB', 'a'), $redis->pubsub->numsub('a'));
        self::assertSame([], $redis->slowlog->get());
        $redis->set('k', 'v');
        self::assertSame('embstr', $redis->object->encoding('k'));
        self::assertIsInt($redis->memory->usage('k'));
        self::assertSame([], $redis->latency->latest());
        // Redis 8 brings vector sets as a module.
        $modules = array_map(static fn (array $module): string => $module['name'] ?? $module[1], $redis->module->list());
        self::assertSame(self::shared()->since('8.0') ? ['vectorset'] : [], $modules);
    }

    public function test_any_letter_case_and_either_spelling_of_a_dash_will_do(): void
    {
        $redis = self::client();
        self::assertSame('OK', $redis->client->noEvict('off'));
        self::assertSame('OK', $redis->CLIENT->no_evict('off'));
        self::assertSame('OK', $redis->client->setName('me'));
        self::assertSame('me', $redis->client->getName());
        self::assertSame('CLIENT', $redis->client->getContainerCommandId());
    }

    public function test_every_command_with_subcommands_is_a_container(): void
    {
        $redis = self::client();
        $containers = ['acl', 'client', 'cluster', 'command', 'config', 'function', 'latency', 'memory', 'module', 'object', 'pubsub', 'script', 'slowlog', 'xgroup', 'xinfo'];
        foreach ($containers as $name) {
            self::assertInstanceOf(Container::class, $redis->$name);
            self::assertTrue(isset($redis->$name), $name);
        }
    }

    public function test_an_unknown_subcommand_is_the_servers_error_and_an_unknown_property_names_the_known_ones(): void
    {
        $redis = self::client();
        self::thrown(ServerException::class, static fn () => $redis->acl->whoareyou());
        $error = self::thrown(\UnexpectedValueException::class, static fn () => $redis->acll);
        self::assertStringContainsString("'acll'", $error->getMessage());
        self::assertStringContainsString('acl, client, cluster', $error->getMessage());
        self::assertNull($redis->acll ?? null);
        self::assertFalse(isset($redis->acll));
    }

    public function test_wrong_arguments_are_refused_before_anything_is_sent(): void
    {
        $redis = self::client();
        foreach ([static fn () => $redis->acl->cat(category: 'read'), static fn () => $redis->acl->cat([['deep']]), static fn () => (new Container())->get('x')] as $action) {
            self::thrown(ClientException::class, $action);
        }
        self::assertFalse($redis->isConnected());
    }

    public function test_properties_cannot_be_set_or_unset(): void
    {
        $redis = self::client();
        $changes = [
            static function () use ($redis): void {
                $redis->acl = 1;
            },
            static function () use ($redis): void {
                $redis->any = 1;
            },
            static function () use ($redis): void {
                $redis->any += 1;
            },
            static function () use ($redis): void {
                $redis->any[] = 1;
            },
            static function () use ($redis): void {
                unset($redis->acl);
            },
        ];
        foreach ($changes as $change) {
            self::thrown(\RuntimeException::class, $change);
        }
        self::assertSame('default', $redis->acl->whoami());
    }

    public function test_what_a_subclass_declares_is_its_own(): void
    {
        $redis = new class(self::shared()->endpoint()) extends ResilientRedis {
            public array $log = [];

            public ?int $config = null;

            protected string $client = 'mine';

            private int $secret = 1;

            public int $typed;

            public function client2(): string
            {
                return $this->client . ++$this->secret;
            }
        };
        $redis->log[] = 'a';
        $redis->log['b'] = 'c';
        $redis->config = 5;
        $redis->config++;
        self::assertSame([['a', 'b' => 'c'], 6], [$redis->log, $redis->config]);
        self::assertSame('mine2', $redis->client2());
        self::assertIsInt($redis->client->id(), 'hidden from here, so it is the container');
        self::assertFalse(isset($redis->typed));
        $reference = &$redis->config;
        $reference = 7;
        self::assertSame(7, $redis->config);
        unset($redis->log);
        self::assertFalse(isset($redis->log));
        self::thrown(\Error::class, static fn () => $redis->secret);
        self::thrown(\TypeError::class, static fn () => $redis->config = 'text');
    }

    public function test_magic_methods_and_dynamic_properties_of_a_subclass_work(): void
    {
        $magic = new class(self::shared()->endpoint()) extends ResilientRedis {
            public array $kept = [];

            public function __get(string $name): mixed
            {
                return $this->kept[$name] ?? "no $name";
            }

            public function __set(string $name, mixed $value): void
            {
                $this->kept[$name] = $value;
            }

            public function __isset(string $name): bool
            {
                return isset($this->kept[$name]);
            }

            public function __unset(string $name): void
            {
                unset($this->kept[$name]);
            }
        };
        $magic->acl = 5;
        self::assertSame([5, 'no any', true, false], [$magic->acl, $magic->any, isset($magic->acl), isset($magic->any)]);
        unset($magic->acl);
        self::assertSame('no acl', $magic->acl);
        $dynamic = new #[\AllowDynamicProperties] class(self::shared()->endpoint()) extends ResilientRedis {
        };
        $dynamic->any = [1];
        $dynamic->any[] = 2;
        self::assertSame([1, 2], $dynamic->any);
        unset($dynamic->any);
        self::assertFalse(isset($dynamic->any));
        self::assertSame('default', $dynamic->acl->whoami());
    }

    public function test_a_container_keeps_its_client_and_is_given_up_with_it(): void
    {
        $redis = self::client();
        $acl = $redis->acl;
        $witness = \WeakReference::create($redis);
        $redis->onEvent(static function () use ($acl): void {
        });
        unset($redis);
        self::assertSame('default', $acl->whoami());
        unset($acl);
        gc_collect_cycles();
        self::assertNull($witness->get());
    }
}
